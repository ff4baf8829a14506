{#
  Where a table of the company is, and what its columns are called there: the variable rekindle__mapping, by table.
  Without an entry a table has our own names, in rekindle_raw. docs/input_files.md has the form and four examples.
#}

{# What a mapping may name: table → column → whether it must be there. `rekindle.intake.mapping` has the same. #}
{% macro mappable_columns() -%}
    {{ return({
        'events': {
            'user_id': true, 'event_type': true, 'occurred_at': true, 'event_id': false, 'properties': false,
            'loaded_at': false, 'source_file': false, 'source_row': false, 'is_made_up': false,
        },
        'users': {
            'user_id': true, 'email': false, 'phone': false, 'first_name': false, 'time_zone': false,
            'country': false, 'locale': false, 'plan': false, 'properties': false, 'email_consented_at': false,
            'sms_consented_at': false, 'signed_up_at': false, 'loaded_at': false, 'source_file': false,
            'source_row': false, 'is_made_up': false,
        },
        'support_tickets': {
            'ticket_id': true, 'user_id': true, 'opened_at': true, 'closed_at': false, 'category': false,
            'satisfaction': false, 'loaded_at': false, 'source_file': false, 'source_row': false,
            'is_made_up': false,
        },
        'product_feedback': {
            'feedback_id': true, 'user_id': true, 'given_at': true, 'survey': false, 'feature_asked_for': false,
            'loaded_at': false, 'source_file': false, 'source_row': false, 'is_made_up': false,
        },
    }) }}
{%- endmacro %}


{# Refuses a mapping that names what is not there, and says which row of it. #}
{% macro check_mapping(table, relation) -%}
    {%- set tables = var('rekindle__mapping', {}) -%}
    {%- set mapping = (tables.get(table) or {}) if tables is mapping else {} -%}
    {%- if execute and mapping -%}
        {%- set wishes = mapping.get('columns') or {} -%}
        {%- set known = mappable_columns()[table] -%}
        {%- set row = 'rekindle__mapping.' ~ table ~ '.columns.' -%}
        {%- for column in known if known[column] and column not in wishes -%}
            {{ exceptions.raise_compiler_error(row ~ column ~ ': is missing; say which column of ' ~ relation ~ ' it is') }}
        {%- endfor -%}
        {%- set there = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list -%}
        {%- for column, wish in wishes.items() -%}
            {%- if column not in known -%}
                {{ exceptions.raise_compiler_error(row ~ column ~ ': is not one of ' ~ known | join(', ')) }}
            {%- endif -%}
            {%- set name = wish if wish is string else wish.get('column') -%}
            {%- if name and there and name | lower not in there -%}
                {{ exceptions.raise_compiler_error(
                    row ~ column ~ ': ' ~ relation ~ ' has no column ' ~ name ~ '; it has ' ~ there | join(', ')
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{#
  A column of a mapped table: our name for it, as SQL. An entry is a column's name, or `{column, unit}` for an epoch in
  seconds, milliseconds or microseconds, or `{expression}`. What a mapping leaves out is null; booleans are false.
#}
{% macro mapped(table, column, type) -%}
    {%- set tables = var('rekindle__mapping', {}) -%}
    {%- set mapping = (tables.get(table) or {}) if tables is mapping else {} -%}
    {%- set wish = (mapping.get('columns') or {}).get(column) -%}
    {%- if not mapping -%}
        {{ column }}
    {%- elif wish is none and type == 'boolean' -%}
        false
    {%- elif wish is none -%}
        cast(null as {{ type }})
    {%- elif wish is string -%}
        cast({{ wish }} as {{ type }})
    {%- elif wish.get('unit') -%}
        {{ instant_of_epoch(wish['column'], {'seconds': 1000000, 'milliseconds': 1000, 'microseconds': 1}[wish['unit']]) }}
    {%- else -%}
        cast({{ wish['expression'] }} as {{ type }})
    {%- endif -%}
{%- endmacro %}


{# An epoch as a timestamp in UTC; one unit of it is so many microseconds. #}
{% macro instant_of_epoch(number, microseconds) -%}
    {{ adapter.dispatch('instant_of_epoch')(number, microseconds) }}
{%- endmacro %}

{% macro default__instant_of_epoch(number, microseconds) -%}
    make_timestamp(cast({{ number }} * {{ microseconds }} as bigint))
{%- endmacro %}

{# https://cloud.google.com/bigquery/docs/reference/standard-sql/timestamp_functions#timestamp_micros #}
{% macro bigquery__instant_of_epoch(number, microseconds) -%}
    timestamp_micros(cast({{ number }} * {{ microseconds }} as int64))
{%- endmacro %}

{# https://docs.snowflake.com/en/sql-reference/functions/to_timestamp #}
{% macro snowflake__instant_of_epoch(number, microseconds) -%}
    to_timestamp_ntz({{ number }} * {{ microseconds }}, 6)
{%- endmacro %}
