{#
  The one instant everything is judged at: `--vars 'as_of: 1998-05-10T18:00:00Z'`, else REKINDLE_AS_OF.
  A zone is converted to UTC; without one the text is UTC already.

  The environment is read while executing only, never while parsing: dbt re-parses the whole project when `--vars`
  change and whatever read a changed variable at parse time, so REKINDLE_AS_OF is the fast door for daily runs.
#}
{% macro as_of_text(pattern) -%}
    {%- if not execute -%}
        {{- modules.datetime.datetime(2000, 1, 1).strftime(pattern) if modules else '2000-01-01' -}}
    {%- else -%}
        {%- set text = var('as_of', none) or env_var('REKINDLE_AS_OF', '') -%}
        {%- if not text -%}
            {{ exceptions.raise_compiler_error(
                "as_of is not set: add --vars 'as_of: 2026-01-31T18:00:00Z' or set REKINDLE_AS_OF"
            ) }}
        {%- endif -%}
        {%- set instant = modules.datetime.datetime.fromisoformat(text | string) -%}
        {%- if instant.tzinfo -%}
            {%- set instant = instant.astimezone(modules.pytz.utc) -%}
        {%- endif -%}
        {{- instant.strftime(pattern) -}}
    {%- endif -%}
{%- endmacro %}


{# `as_of` as a timestamp literal. What counts happened strictly before it: `where occurred_at < {{ as_of_timestamp() }}`. #}
{% macro as_of_timestamp() -%}
    cast('{{ as_of_text("%Y-%m-%d %H:%M:%S.%f") }}' as {{ dbt.type_timestamp() }})
{%- endmacro %}


{# The UTC day of `as_of` as a date literal: the key of everything recorded per day. #}
{% macro as_of_date() -%}
    cast('{{ as_of_text("%Y-%m-%d") }}' as date)
{%- endmacro %}
