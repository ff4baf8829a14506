create or replace table {{ seeds }}.score_plan_presets (
    plan {{ text }},
    preset {{ text }}
)
