-- Where everybody who entered stands now, per arm.
select
    journeys.campaign_id,
    journeys.arm,
    coalesce(journeys.exit_reason, 'active') as outcome,
    count(*) as entries
from {{ state }}.journey_state as journeys
group by journeys.campaign_id, journeys.arm, coalesce(journeys.exit_reason, 'active')
order by journeys.campaign_id asc, journeys.arm asc, entries desc, outcome asc
