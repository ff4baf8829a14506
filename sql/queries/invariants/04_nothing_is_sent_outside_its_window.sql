-- Nothing is sent outside the send window in any candidate time zone, or after it expired.
select
    coalesce(
        sum(
            case when attempting_at < window_opens_at or attempting_at >= expires_at or time_zones is null then 1 else 0
            end
        ), 0
    ) as violations,
    count(*) as checked,
    'sends' as unit
from {{ state }}.messages
where attempting_at is not null
