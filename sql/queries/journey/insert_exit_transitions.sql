{% from "macros/moves.jinja" import first_of, go_out, insert_transitions with context -%}
{% from "macros/exits.jinja" import exit_signs with context -%}
-- End the entries of one version that one of the campaign's own exits ends; the earliest counts, then their order in
-- the file. Word `batched`: only entries that are about to be written to. Nobody who is still under way entered before
-- oldest_entered_at.
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
        and entries.entered_at >= $oldest_entered_at
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
    {{ first_of("signs", ["happened_at", "place"]) | indent }}
)

{{ go_out("active", "first_sign", "reason") }}
