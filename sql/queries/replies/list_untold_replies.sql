select
    event_key,
    lead_id,
    campaign_id,
    replied_at
from {{ state }}.reply_queue
where told_at is null and handled_at is null
order by replied_at asc, event_key asc
