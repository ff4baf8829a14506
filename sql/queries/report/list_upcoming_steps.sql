-- When the active entries of a campaign are due next, by day and stage; without those that have a message under way.
select
    journeys.stage,
    cast(journeys.due_at as date) as due_on,
    count(*) as entries
from {{ state }}.journey_state as journeys
left join {{ state }}.messages as messages
    on
        journeys.entry_id = messages.entry_id
        and journeys.stage = messages.step_id
        and messages.status in ('planned', 'withheld', 'claimed', 'attempting')
where
    messages.message_id is null
    and journeys.campaign_id = $campaign_id
    and journeys.exit_reason is null
    and journeys.due_at is not null
group by journeys.stage, cast(journeys.due_at as date)
order by due_on asc, journeys.stage asc
