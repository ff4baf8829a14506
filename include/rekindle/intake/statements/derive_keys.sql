{# Gives rows without a key one made from what they say. Identical rows are legitimate in a log, so the how-maniest
   of its kind it is belongs to the key; it counts over the joined text itself, so that two rows can not meet in one
   id through a separator inside a value. #}
create table {{ target }} as
with spelled as (
    select
        *,
        {{ parts or "cast(null as varchar)" }} as joined
    from {{ checked }}
    where problem is null
),

numbered as (
    select
        *,
        {% if parts %}
        case
            when {{ key }} is null
                then row_number() over (partition by {{ key }} is null, joined order by source_row)
        end as occurrence
        {% else %}
        cast(null as bigint) as occurrence
        {% endif %}
    from spelled
)

select
    * exclude ({{ key }}, joined, occurrence),
    coalesce({{ key }}, stable_id(concat(joined, '|', occurrence))) as {{ key }}
from numbered
