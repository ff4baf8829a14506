select
    reason,
    rejects_row,
    count(*) as faults,
    arg_min(
        struct_pack(source_row := source_row, column_name := column_name, value := value, remedy := remedy),
        source_row,
        {{ examples }}
    ) as examples
from {{ rejects }}
group by reason, rejects_row
order by faults desc, reason
