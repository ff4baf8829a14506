{#
  A limit of a stop-check: the environment variable if that is set, else the dbt var. Read while executing only, so that
  letting one day through does not make dbt parse the project again. docs/runbooks/stopped_score.md says when.
#}
{% macro stop_limit(variable, environment_variable) -%}
    {{ return((env_var(environment_variable, '') if execute else '') or var(variable)) }}
{%- endmacro %}
