-- What one run planned, by step.
select
    planned.step_id,
    planned.channel,
    planned.arm,
    count(*) as messages,
    min(planned.expires_at) as earliest_expiry
from {{ state }}.messages as planned
where planned.campaign_id = $campaign_id and planned.run_id = $run_id
group by planned.step_id, planned.channel, planned.arm
order by planned.step_id asc, planned.arm desc
