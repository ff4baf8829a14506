create table {{ target }} as
select
    {% for name in names %}
    {% if name == "properties" and keeps_other_columns %}
    cast(
        case
            when other_columns is null then properties
            when properties is null then other_columns
            else json_merge_patch(other_columns, properties)
        end as varchar
    ) as properties,
    {% else %}
    {{ name }},
    {% endif %}
    {% endfor %}
    cast({{ is_made_up }} as boolean) as is_made_up,
    {{ source_file | literal }} as source_file,
    cast(source_row as bigint) as source_row
from {{ identified }}
where source_row not in (select source_row from {{ duplicates }})
