-- What one run decided not to send now, by step and reason.
select
    decided.step_id,
    decided.channel,
    decided.reason,
    count(*) as decisions,
    min(decided.next_due_at) as next_due_at
from {{ state }}.decisions as decided
where decided.campaign_id = $campaign_id and decided.run_id = $run_id
group by decided.step_id, decided.channel, decided.reason
order by decided.step_id asc, decisions desc, decided.reason asc
