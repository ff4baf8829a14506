{#
  The columns that compare the two arms, for a model with one row per entry grouped by anything: entries, matured
  entries, re-activated among the matured, as `<arm>_<measure>`. Only matured entries are compared: an entry that had
  less than its 30 days can not have failed yet.
#}
{% macro arm_counts(arm) -%}
    {{ count_if("arm = '" ~ arm ~ "'") }} as {{ arm }}_entered,
    {{ count_if("arm = '" ~ arm ~ "' and is_matured_30d") }} as {{ arm }}_matured_30d,
    {{ count_if("arm = '" ~ arm ~ "' and is_matured_30d and is_reactivated_30d") }} as {{ arm }}_reactivated_30d
{%- endmacro %}


{# The share of an arm's matured entries that came back within 30 days; null while none has matured. #}
{% macro arm_rate(arm) -%}
    cast({{ arm }}_reactivated_30d as {{ type_double() }}) / nullif({{ arm }}_matured_30d, 0)
{%- endmacro %}
