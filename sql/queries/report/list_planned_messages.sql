-- What one run planned, by step.
select
    messages.step_id,
    messages.channel,
    messages.arm,
    count(*) as messages,
    min(messages.expires_at) as earliest_expiry
from {{ state }}.messages as messages
where messages.campaign_id = $campaign_id and messages.run_id = $run_id
group by messages.step_id, messages.channel, messages.arm
order by messages.step_id asc, messages.arm desc
