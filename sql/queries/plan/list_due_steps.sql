-- Who stands at a step, is due and was not won by another campaign today: at most so many may be written to.
select
    journeys.stage,
    count(*) as entries,
    min(journeys.lead_id) as first_sample,
    max(journeys.lead_id) as last_sample
from {{ state }}.journey_state as journeys
left join {{ state }}.lost_turns as lost_turns on journeys.entry_id = lost_turns.entry_id and lost_turns.as_of = $as_of
where
    journeys.campaign_id = $campaign_id
    and journeys.exit_reason is null
    and journeys.arm = 'treatment'
    and journeys.due_at <= $as_of
    and lost_turns.entry_id is null
group by journeys.stage
order by journeys.stage
