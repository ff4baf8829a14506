{# Stops the run: a score is 0–100 only if the weights sum to 100, and a preset without thresholds scores nobody. #}
{{ config(tags=['daily_score']) }}

select
    weights.preset,
    sum(weights.weight) as total_weight
from {{ ref('score_weights') }} as weights
left join {{ ref('score_thresholds') }} as thresholds
    on
        weights.preset = thresholds.preset
        and weights.score_version = thresholds.score_version
group by weights.preset
having
    sum(weights.weight) != 100
    or count(thresholds.preset) != {{ score_signals() | length }}
    or count(*) != {{ score_signals() | length }}
