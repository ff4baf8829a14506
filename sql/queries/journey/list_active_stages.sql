-- Where the entries of a campaign stand, by version.
select
    journeys.journey_version,
    journeys.stage,
    count(*) as entries,
    min(journeys.due_at) as first_due_at
from {{ state }}.journey_state as journeys
where journeys.campaign_id = $campaign_id and journeys.exit_reason is null
group by journeys.journey_version, journeys.stage
order by journeys.journey_version, journeys.stage
