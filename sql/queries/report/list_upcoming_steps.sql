-- When the active entries of a campaign are due next, by day and stage.
select
    journeys.stage,
    cast(journeys.due_at as date) as due_on,
    count(*) as entries
from {{ state }}.journey_state as journeys
where
    journeys.campaign_id = $campaign_id
    and journeys.exit_reason is null
    and journeys.due_at is not null
group by journeys.stage, cast(journeys.due_at as date)
order by due_on asc, journeys.stage asc
