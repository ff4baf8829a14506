select
    event_type,
    count(*) as event_count,
    count(distinct user_id) as lead_count,
    min(occurred_at) as first_at,
    max(occurred_at) as last_at
from {{ raw }}.events
group by event_type
order by event_type
