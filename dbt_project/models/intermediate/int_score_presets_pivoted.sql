with

weights as (
    select * from {{ ref('score_weights') }}
),

thresholds as (
    select * from {{ ref('score_thresholds') }}
),

pivoted as (
    select
        {% for signal in score_signals() %}
        max(case when signal = '{{ signal }}' then weight end) as {{ signal }}_weight,
        max(case when signal = '{{ signal }}' then days end) as {{ signal }}_days,
        max(case when signal = '{{ signal }}' then shape end) as {{ signal }}_shape,
        {% endfor %}
        preset
    from weights
    group by preset
),

joined as (
    select
        thresholds.score_version,
        thresholds.enter_score,
        thresholds.leave_score,
        thresholds.late_window_days,
        pivoted.*
    from pivoted
    inner join thresholds on pivoted.preset = thresholds.preset
)

select * from joined
