create or replace table {{ seeds }}.score_weights (
    score_version {{ bigint }},
    preset {{ text }},
    signal {{ text }},
    shape {{ text }},
    weight {{ float }},
    days {{ float }},
    reason {{ text }}
)
