create or replace table {{ seeds }}.score_thresholds (
    score_version {{ bigint }},
    preset {{ text }},
    enter_score {{ float }},
    leave_score {{ float }},
    late_window_days {{ bigint }},
    reason {{ text }}
)
