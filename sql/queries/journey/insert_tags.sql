{% from "macros/moves.jinja" import said_tags, standing_on with context -%}
-- Tags put on and taken away by the step that is passed now. Word `tags`: `tag.action` for each.
insert into {{ state }}.lead_tags (
    lead_id, tag, action, campaign_id, entry_id, step_id, tagged_at, recorded_at, run_id
)
with said as (
    {{ said_tags() | indent }}
)

select
    journeys.lead_id,
    said.tag,
    said.action,
    journeys.campaign_id,
    journeys.entry_id,
    journeys.stage as step_id,
    journeys.due_at as tagged_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from {{ state }}.journey_state as journeys
cross join said
where
    {{ standing_on() }}
    and journeys.due_at <= $as_of
