-- How many messages of each campaign left, and how many the holdout would have had.
select
    written.campaign_id,
    case when written.arm = 'treatment' then 'sent' else 'withheld' end as outcome,
    count(*) as messages
from {{ state }}.messages as written
where
    written.status = 'withheld'
    or (written.attempting_at is not null and written.status not in ('failed', 'expired', 'planned'))
group by written.campaign_id, case when written.arm = 'treatment' then 'sent' else 'withheld' end
order by written.campaign_id asc, outcome asc
