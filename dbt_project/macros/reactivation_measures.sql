{#
  What is measured for each window: `30d` for every campaign alike, `in_window` by the window that each entry's campaign
  had when it entered.
#}
{% macro measured_windows() -%}
    {{ return(['30d', 'in_window']) }}
{%- endmacro %}


{#
  The columns that compare the two arms, for a model with one row per entry grouped by anything: entries, matured
  entries, re-activated among the matured, as `<arm>_<measure>_<window>`. Only matured entries are compared: an entry
  whose days are not over can not have failed yet.
#}
{% macro arm_counts(arm) -%}
    {{ count_if("arm = '" ~ arm ~ "'") }} as {{ arm }}_entered
    {%- for window in measured_windows() %},
    {{ count_if("arm = '" ~ arm ~ "' and is_matured_" ~ window) }} as {{ arm }}_matured_{{ window }},
    {{ count_if("arm = '" ~ arm ~ "' and is_matured_" ~ window ~ " and is_reactivated_" ~ window) }}
        as {{ arm }}_reactivated_{{ window }}
    {%- endfor %}
{%- endmacro %}


{# The share of an arm's matured entries that came back in a window; null while none has matured. #}
{% macro arm_rate(arm, window) -%}
    cast({{ arm }}_reactivated_{{ window }} as {{ type_double() }}) / nullif({{ arm }}_matured_{{ window }}, 0)
{%- endmacro %}


{# One limit of the 95 % interval of the lift in a window. #}
{% macro lift_limit(window, limit) -%}
    {{ newcombe_limit(
        'treatment_reactivated_' ~ window, 'treatment_matured_' ~ window,
        'holdout_reactivated_' ~ window, 'holdout_matured_' ~ window, limit
    ) }}
{%- endmacro %}
