-- How one run moved the entries of a campaign.
select
    transitions.from_stage,
    transitions.to_stage,
    transitions.exit_reason,
    transitions.reason,
    count(*) as entries
from {{ state }}.journey_transitions as transitions
where
    transitions.campaign_id = $campaign_id
    and transitions.run_id = $run_id
    and transitions.from_stage is not null
    -- who stays where they are, because it is not the hour yet, has a decision
    and (transitions.from_stage <> transitions.to_stage or transitions.reason = 'moved_to_version')
group by transitions.from_stage, transitions.to_stage, transitions.exit_reason, transitions.reason
order by entries desc, transitions.from_stage asc, transitions.reason asc
