-- Who is still to be told, the longest waiting first.
select
    calls.call_id,
    calls.entry_id,
    calls.campaign_id,
    calls.lead_id,
    calls.step_id,
    calls.connection_id,
    calls.event,
    calls.happened_at,
    calls.attempts
from {{ state }}.webhook_calls as calls
where calls.status = 'waiting' and calls.next_attempt_at <= $now and calls.campaign_id = $campaign_id
order by calls.next_attempt_at asc, calls.call_id asc
limit 1000
