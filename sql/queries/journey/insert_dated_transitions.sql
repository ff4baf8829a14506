{% from "macros/moves.jinja" import go, insert_transitions, standing_on, waited with context -%}
-- A wait for a date of the lead, read once, when the wait begins: a date that moves on would make the wait endless.
-- Without a date, or when it is past, on at once.
{{ insert_transitions() }}
with waiting as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.last_sequence,
        journeys.stage,
        greatest(
            journeys.due_at,
            case
                when journeys.due_at <= journeys.stage_entered_at
                    then
                        coalesce(
                            {{ add_seconds(
                                "cast(context." ~ field | default("renewal_on") ~ " as " ~ timestamp ~ ")",
                                "$plus_seconds"
                            ) }},
                            journeys.due_at
                        )
                else journeys.due_at
            end
        ) as due_at
    from {{ state }}.journey_state as journeys
    left join {{ activation }}.sync_lead_context as context on journeys.lead_id = context.lead_id
    where
        {{ standing_on() | indent }}
        and journeys.due_at <= $as_of
),

moves as (
    {{ waited("waiting", "waits_for_date") | indent }}
)

{{ go("moves", stays=true) }}
