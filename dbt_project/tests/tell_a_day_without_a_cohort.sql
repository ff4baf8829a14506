{# Tells: nobody crossed within the late window. A healthy lull looks like a log that stopped arriving. #}
{{ config(severity='warn', tags=['daily_score']) }}

select cohort_size
from (
    select count(*) as cohort_size
    from {{ ref('sync_cold_leads') }}
) as cohort
where cohort_size = 0
