{# Stops the run: a plan's preset that no threshold row knows would leave its leads without a score. #}
{{ config(tags=['daily_score']) }}

select
    plan_presets.plan,
    plan_presets.preset
from {{ ref('score_plan_presets') }} as plan_presets
left join {{ ref('score_thresholds') }} as thresholds on plan_presets.preset = thresholds.preset
where thresholds.preset is null
