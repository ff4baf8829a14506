{#
  Puts a model with the custom schema `marts` into `rekindle_marts`, on every target: the schemas are the contract
  with BI and with the DAGs, so they do not carry a developer's or a target's name.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- else -%}
        rekindle_{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}
