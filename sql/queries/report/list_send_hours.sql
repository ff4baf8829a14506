-- When the run's messages may leave: those planned now, and those that wait; without what a holdout would have had.
select
    leaving.leaves_at,
    leaving.channel,
    count(*) as messages
from (
    select
        planned.channel,
        planned.planned_at as leaves_at
    from {{ state }}.messages as planned
    where planned.campaign_id = $campaign_id and planned.run_id = $run_id and planned.arm = 'treatment'
    union all
    select
        decided.channel,
        decided.next_due_at as leaves_at
    from {{ state }}.decisions as decided
    inner join {{ state }}.journey_entries as entries on decided.entry_id = entries.entry_id
    where
        entries.arm = 'treatment'
        and decided.campaign_id = $campaign_id
        and decided.run_id = $run_id
        and decided.next_due_at is not null
) as leaving
group by leaving.leaves_at, leaving.channel
order by leaving.leaves_at asc, leaving.channel asc
