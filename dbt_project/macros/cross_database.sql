{#
  What the three warehouses spell differently. Each macro: one variant per adapter, the default is DuckDB's.
  Nothing here may be replaced by a database's own shorthand in a model; docs/dialects.md lists the pitfalls.
#}

{# 64-bit float. `dbt.type_float()` is 32 bits on DuckDB. #}
{% macro type_double() -%}
    {{ 'float64' if target is defined and target.type == 'bigquery' else 'double' }}
{%- endmacro %}


{#
  Days from one instant to a later one, with fractions. Microseconds, because second counts are cut off on BigQuery
  and counted by crossed boundaries on DuckDB and Snowflake.
#}
{% macro days_between(earlier, later) -%}
    {{ adapter.dispatch('days_between')(earlier, later) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    cast(date_diff('microsecond', {{ earlier }}, {{ later }}) as double) / 86400000000
{%- endmacro %}

{# https://cloud.google.com/bigquery/docs/reference/standard-sql/timestamp_functions#timestamp_diff #}
{% macro bigquery__days_between(earlier, later) -%}
    cast(timestamp_diff({{ later }}, {{ earlier }}, microsecond) as float64) / 86400000000
{%- endmacro %}

{# https://docs.snowflake.com/en/sql-reference/functions/datediff #}
{% macro snowflake__days_between(earlier, later) -%}
    cast(datediff('microsecond', {{ earlier }}, {{ later }}) as double) / 86400000000
{%- endmacro %}


{# A timestamp some days later. `dbt.dateadd` gives a DATETIME on BigQuery, which may not be compared with a TIMESTAMP. #}
{% macro days_after(instant, days) -%}
    cast({{ dbt.dateadd('day', days, instant) }} as {{ dbt.type_timestamp() }})
{%- endmacro %}


{# A date some days earlier. #}
{% macro days_before_date(day, days) -%}
    cast({{ dbt.dateadd('day', '-(' ~ days ~ ')', day) }} as date)
{%- endmacro %}


{# The later of two values, either of which may be null: `greatest` alone ignores nulls on DuckDB and returns them elsewhere. #}
{% macro latest_of(one, other) -%}
    greatest(coalesce({{ one }}, {{ other }}), coalesce({{ other }}, {{ one }}))
{%- endmacro %}


{# The earlier of two values, either of which may be null. #}
{% macro earliest_of(one, other) -%}
    least(coalesce({{ one }}, {{ other }}), coalesce({{ other }}, {{ one }}))
{%- endmacro %}


{# Rows for which a condition holds, as a bigint (a sum of integers is a 128-bit integer on DuckDB). #}
{% macro count_if(condition) -%}
    count(case when {{ condition }} then 1 end)
{%- endmacro %}


{# Lower-case hexadecimal SHA-256 of a text, as `rekindle.identity.address_hash` makes it. #}
{% macro sha256_hex(text) -%}
    {{ adapter.dispatch('sha256_hex')(text) }}
{%- endmacro %}

{% macro default__sha256_hex(text) -%}
    sha256({{ text }})
{%- endmacro %}

{# https://cloud.google.com/bigquery/docs/reference/standard-sql/hash_functions#sha256 #}
{% macro bigquery__sha256_hex(text) -%}
    to_hex(sha256({{ text }}))
{%- endmacro %}

{# https://docs.snowflake.com/en/sql-reference/functions/sha2 #}
{% macro snowflake__sha256_hex(text) -%}
    sha2({{ text }}, 256)
{%- endmacro %}


{# The text of a JSON object. `pairs` is a list of (key, SQL expression). The order of keys is the warehouse's. #}
{% macro json_object_text(pairs) -%}
    {%- set arguments = [] -%}
    {%- for key, expression in pairs -%}
        {%- do arguments.append("'" ~ key ~ "', " ~ expression) -%}
    {%- endfor -%}
    {{ adapter.dispatch('json_object_text')(arguments | join(', ')) }}
{%- endmacro %}

{% macro default__json_object_text(arguments) -%}
    cast(json_object({{ arguments }}) as {{ dbt.type_string() }})
{%- endmacro %}

{# https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#json_object #}
{% macro bigquery__json_object_text(arguments) -%}
    to_json_string(json_object({{ arguments }}))
{%- endmacro %}

{# https://docs.snowflake.com/en/sql-reference/functions/object_construct_keep_null #}
{% macro snowflake__json_object_text(arguments) -%}
    to_json(object_construct_keep_null({{ arguments }}))
{%- endmacro %}


{#
  The text at a path of a JSON text, null if there is none. `keys` is the path.
  Example: {{ json_text('payload', ['headers', 'user-agent']) }}
#}
{% macro json_text(json, keys) -%}
    {{ adapter.dispatch('json_text')(json, '"' ~ (keys | join('"."')) ~ '"') }}
{%- endmacro %}

{% macro default__json_text(json, path) -%}
    json_extract_string({{ json }}, '$.{{ path }}')
{%- endmacro %}

{# https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#json_value #}
{% macro bigquery__json_text(json, path) -%}
    json_value({{ json }}, '$.{{ path }}')
{%- endmacro %}

{# https://docs.snowflake.com/en/sql-reference/functions/json_extract_path_text #}
{% macro snowflake__json_text(json, path) -%}
    json_extract_path_text({{ json }}, '{{ path }}')
{%- endmacro %}


{# A timestamp some seconds later. #}
{% macro seconds_after(instant, seconds) -%}
    cast({{ dbt.dateadd('second', seconds, instant) }} as {{ dbt.type_timestamp() }})
{%- endmacro %}
