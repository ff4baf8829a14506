{# Reads every cell once: its text, its value (null when blank or bad), and what is wrong with the row or a cell. #}
create table {{ target }} as
with cells as (
    select
        source_row,
        {% for column in columns %}
        {{ column.cell }} as {{ column.name }}_cell,
        {% endfor %}
        {{ other_columns }} as other_columns
    from {{ given }}
),

parsed as (
    select
        cells.*,
        {% for column in columns %}
        {{ column.value }} as {{ column.name }},
        {% endfor %}
        {{ "known.user_id is not null" if known_users else "true" }} as is_known_user
    from cells
    {% for column in columns if column.lookup %}
    left join {{ column.lookup }} as {{ column.name }}_lookup
        on {{ column.name }}_lookup.cell = cells.{{ column.name }}_cell
        {% if column.name == "phone" %}
        and {{ column.name }}_lookup.country is not distinct from cells.country_cell
        {% endif %}
    {% endfor %}
    {% if known_users %}
    left join {{ known_users }} as known on known.user_id = cells.user_id_cell
    {% endif %}
)

select
    source_row,
    {% for column in columns %}
    {{ column.name }},
    {% endfor %}
    other_columns,
    case
        {% for column in columns if column.is_required %}
        when {{ column.name }}_cell is null
            then {column_name: '{{ column.name }}', value: cast(null as varchar), reason: 'empty_value'}
        {% if column.reason %}
        when {{ column.name }} is null
            then {column_name: '{{ column.name }}', value: {{ column.name }}_cell, reason: {{ column.reason }}}
        {% endif %}
        {% endfor %}
        {% if needs_one_of %}
        {% for column in columns if column.name in needs_one_of and column.reason %}
        when {{ needs_one_of | join(" is null and ") }} is null and {{ column.name }}_cell is not null
            then {column_name: '{{ column.name }}', value: {{ column.name }}_cell, reason: {{ column.reason }}}
        {% endfor %}
        when {{ needs_one_of | join(" is null and ") }} is null
            then {column_name: '{{ needs_one_of[0] }}', value: cast(null as varchar), reason: 'empty_value'}
        {% endif %}
        when not is_known_user
            then {column_name: 'user_id', value: user_id_cell, reason: 'unknown_user_id'}
    end as problem,
    list_filter(
        [
            {% for column in columns if column.reason and not column.is_required %}
            case
                when {{ column.name }}_cell is not null and {{ column.name }} is null
                    then {column_name: '{{ column.name }}', value: {{ column.name }}_cell, reason: {{ column.reason }}}
            end,
            {% endfor %}
            null
        ],
        lambda problem: problem is not null
    ) as cell_problems
from parsed
