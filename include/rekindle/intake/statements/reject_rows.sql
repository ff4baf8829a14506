{# One row per rejected row, with its first fault, and one per emptied cell of a kept row. `rejects_row` tells them apart. #}
create table {{ target }} as
with remedies (reason, remedy) as (
    values
    {% for reason, remedy in remedies.items() %}
    ({{ reason | literal }}, {{ remedy | literal }}){{ "," if not loop.last }}
    {% endfor %}
),

faults as (
    select
        source_row,
        problem.column_name as column_name,
        problem.value as value,
        problem.reason as reason,
        true as rejects_row
    from {{ checked }}
    where problem is not null

    union all

    select
        source_row,
        {{ key | literal }} as column_name,
        value,
        'duplicate_id' as reason,
        true as rejects_row
    from {{ duplicates }}

    union all

    select
        source_row,
        problem.column_name as column_name,
        problem.value as value,
        problem.reason as reason,
        false as rejects_row
    from (
        select
            source_row,
            unnest(cell_problems) as problem
        from {{ checked }}
        where problem is null
            and len(cell_problems) > 0
            and source_row not in (select source_row from {{ duplicates }})
    )
),

recorded as (
    select
        faults.*,
        cast({{ record }} as varchar) as record
    from faults
    inner join {{ given }} as given on faults.source_row = given.source_row

    union all

    select
        source_row,
        cast(null as varchar) as column_name,
        value,
        reason,
        true as rejects_row,
        record
    from {{ broken }}
)

select
    {{ source_table | literal }} as source_table,
    {{ source_file | literal }} as source_file,
    cast(recorded.source_row as bigint) as source_row,
    recorded.column_name,
    recorded.value,
    recorded.reason,
    remedies.remedy,
    recorded.record,
    recorded.rejects_row
from recorded
inner join remedies on recorded.reason = remedies.reason
order by recorded.source_row, recorded.column_name
