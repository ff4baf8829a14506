{# The signals of the cold score, strongest first. A signal is a row of the seed score_weights and a column of fct_cold_scores. #}
{% macro score_signals() -%}
    {{ return([
        'last_seen', 'log_in', 'email_click', 'email_open', 'key_action', 'habit', 'support', 'payment_failure',
        'usage_trend', 'plan',
    ]) }}
{%- endmacro %}


{#
  How cold one signal is, from 0 (warm) to 1, judged `days_ago` days before as_of. Reads the columns of
  int_lead_signals: `<signal>_age_days`, `<signal>_shape`, `<signal>_days`.

    decay   1 − 2^(−age / days): half cold after `days`. Never happened is 1.
            Clicks and opens of a lead that was never mailed say nothing; the age of last seen stands in for them.
            habit: 1 − the chance to come within the next 2 × days, as the lead's last active year has it. With n active
            days over `span` days (365 at most) and then `silence` days, the lead has left by odds of
            (1 + silence / (days + span)) ^ min(n, 10) / (n + 1): a silence that is long beside how long it used to be
            around, the longer the oftener it came. If it has not, it comes with 1 − (1 + 2 days / (days + span +
            silence)) ^ −(n − ½). A plain form of the BG/NBD model (Fader, Hardie and Lee, "Counting your customers the
            easy way", Marketing Science 24, 2005); the power is bounded because people come back after pauses, too.
            docs/backtest.md has what it is worth.
            support: 2^(−gap / days), gap = days from the bad ticket to when the lead was last seen: who leaves right
            after a bad ticket has a reason to stay away. It does not change during silence, so the whole score can
            only rise while a lead is silent, and the day it crossed can be computed backwards.
            payment_failure: the same of the last payment that failed and was not made good by a sale.
    step    1 once the age is over `days`, or when it never happened; else 0.
    never   1 when it never happened; else 0.
    share   A share from 0 to 1 that does not change during silence. usage_trend: by how much the active days of the
            last active 30 days fall short of those of the 30 before. plan: 1 without a paid plan.
#}
{% macro signal_coldness(signal, days_ago) -%}
    {%- set age = 'last_seen_age_days' if signal == 'habit' else signal ~ '_age_days' -%}
    {%- set days = signal ~ '_days' -%}
    {%- set silence = 'greatest(last_seen_age_days - ' ~ days_ago ~ ', 0.0)' -%}
    {%- set span = 'least(greatest(coalesce(known_age_days - last_seen_age_days, 0.0), 0.0), 365.0)' -%}
    {%- set active_days = 'greatest(coalesce(active_days_in_last_active_year, 1), 1)' -%}
    {%- if signal in ['usage_trend', 'plan'] -%}
    coalesce({{ signal }}_share, 0.0)
    {%- else -%}
    case
        when {{ signal }}_shape = 'never' then case when {{ age }} is null then 1.0 else 0.0 end
        when {{ signal }}_shape = 'step'
            then case when {{ age }} is null or {{ age }} - {{ days_ago }} > {{ days }} then 1.0 else 0.0 end
        {%- if signal in ['support', 'payment_failure'] %}
        when {{ age }} is null or {{ age }} <= {{ days_ago }} then 0.0
        else power(2.0, -coalesce({{ signal }}_gap_days, 0.0) / {{ days }})
        {%- else %}
        {%- if signal in ['email_click', 'email_open'] %}
        when {{ age }} is null and coalesce(first_mailed_age_days, 0.0) <= {{ days_ago }} and last_seen_age_days is not null
            then 1.0 - power(2.0, -{{ silence }} / {{ days }})
        {%- endif %}
        when {{ age }} is null then 1.0
        {%- if signal == 'habit' %}
        else 1.0 - (
            1.0 - power(1.0 + 2.0 * {{ days }} / ({{ days }} + {{ span }} + {{ silence }}), 0.5 - {{ active_days }})
        ) / (
            1.0
            + power(1.0 + {{ silence }} / ({{ days }} + {{ span }}), least({{ active_days }}, 10))
            / ({{ active_days }} + 1)
        )
        {%- else %}
        else 1.0 - power(2.0, -greatest({{ age }} - {{ days_ago }}, 0.0) / {{ days }})
        {%- endif %}
        {%- endif %}
    end
    {%- endif -%}
{%- endmacro %}


{# The points one signal adds to the cold score, judged `days_ago` days before as_of: weight × coldness. #}
{% macro signal_points(signal, days_ago=0) -%}
    {{ signal }}_weight * {{ signal_coldness(signal, days_ago) }}
{%- endmacro %}


{# The cold score from the points of every signal, where they are columns. #}
{% macro total_points() -%}
    {%- for signal in score_signals() -%}
    {{ signal }}_points{{ ' + ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{# The cold score, 0–100, judged `days_ago` days before as_of: the sum of the points of every signal. #}
{% macro cold_score(days_ago) -%}
    {%- for signal in score_signals() -%}
    {{ signal_points(signal, days_ago) }}{{ ' + ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
