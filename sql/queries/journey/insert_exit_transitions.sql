{% from "macros/moves.jinja" import insert_transitions with context -%}
{% from "macros/exits.jinja" import exit_signs with context -%}
-- End the entries of one version that one of the campaign's own exits ends; the earliest counts, then their order in
-- the file. Word `batched`: only entries that are about to be written to.
{{ insert_transitions() }}
with active as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.stage,
        journeys.last_sequence,
        entries.entered_at
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
    where
        journeys.campaign_id = $campaign_id
        and journeys.journey_version = $journey_version
        and journeys.exit_reason is null
        {%- if batched | default("") %}
        and journeys.entry_id in (
            select messages.entry_id
            from {{ state }}.messages as messages
            where messages.batch_id = $batch_id and messages.status = 'planned'
        )
        {%- endif %}
),

signs as (
    {{ exit_signs("active") | indent }}
),

first_sign as (
    select
        signs.*,
        row_number() over (
            partition by signs.entry_id
            order by signs.happened_at asc, signs.place asc
        ) as sign_rank
    from signs
)

select
    active.entry_id,
    active.campaign_id,
    active.last_sequence + 1 as sequence,
    active.stage as from_stage,
    'exited' as to_stage,
    first_sign.reason,
    cast(null as {{ timestamp }}) as due_at,
    first_sign.exit_reason,
    first_sign.happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from active
inner join first_sign on active.entry_id = first_sign.entry_id and first_sign.sign_rank = 1
