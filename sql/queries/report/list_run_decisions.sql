-- What one run decided not to send now, by step and reason; of a lost arbitration also to which campaign.
select
    decided.step_id,
    decided.channel,
    decided.reason,
    case when decided.reason = 'lost_arbitration' then decided.detail end as winning_campaign_id,
    count(*) as decisions,
    min(decided.next_due_at) as next_due_at
from {{ state }}.decisions as decided
where decided.campaign_id = $campaign_id and decided.run_id = $run_id
group by
    decided.step_id,
    decided.channel,
    decided.reason,
    case when decided.reason = 'lost_arbitration' then decided.detail end
order by decided.step_id asc, decisions desc, decided.reason asc
