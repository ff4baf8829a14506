-- What one run decided not to send now, by step and reason.
select
    decisions.step_id,
    decisions.channel,
    decisions.reason,
    count(*) as decisions,
    min(decisions.next_due_at) as next_due_at
from {{ state }}.decisions as decisions
where decisions.campaign_id = $campaign_id and decisions.run_id = $run_id
group by decisions.step_id, decisions.channel, decisions.reason
order by decisions.step_id asc, decisions desc, decisions.reason asc
