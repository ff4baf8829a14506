-- Who came to each stage of each campaign, by day: how a cohort thins out.
select
    transitions.campaign_id,
    cast(transitions.happened_at as date) as happened_on,
    coalesce(transitions.exit_reason, transitions.to_stage) as reached,
    case when transitions.exit_reason is null then 0 else 1 end as is_exit,
    case when transitions.from_stage is null then 1 else 0 end as is_first,
    entered.arm,
    count(*) as entries
from {{ state }}.journey_transitions as transitions
inner join {{ state }}.journey_entries as entered on transitions.entry_id = entered.entry_id
-- who stays where it is, because it is not the hour yet, came nowhere
where transitions.from_stage is distinct from transitions.to_stage
group by
    transitions.campaign_id,
    cast(transitions.happened_at as date),
    coalesce(transitions.exit_reason, transitions.to_stage),
    case when transitions.exit_reason is null then 0 else 1 end,
    case when transitions.from_stage is null then 1 else 0 end,
    entered.arm
order by transitions.campaign_id asc, happened_on asc, is_exit asc, reached asc, entered.arm asc
