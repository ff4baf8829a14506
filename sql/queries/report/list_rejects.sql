select
    source_file,
    coalesce(column_name, '(row)') as column_name,
    reason,
    count(*) as rejects,
    min(source_row) as first_row
from {{ raw }}.rejects
group by source_file, coalesce(column_name, '(row)'), reason
order by rejects desc, source_file asc, column_name asc
