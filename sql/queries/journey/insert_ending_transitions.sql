{% from "macros/moves.jinja" import first_of, go_out, insert_transitions with context -%}
-- End every active entry that a life sign, an answer or a provider's receipt ends; the earliest cause wins. Nobody who
-- is still under way entered before oldest_entered_at, nor was a receipt for a message of theirs recorded before
-- oldest_recorded_at: it says nothing new, and spares the engines what is long past.
{{ insert_transitions() }}
with active as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.stage,
        journeys.last_sequence,
        entries.entered_at,
        entries.email_hash,
        entries.phone_hash
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
    where journeys.exit_reason is null and entries.entered_at >= $oldest_entered_at
),

-- She logged in or did the key action.
life_signs as (
    select
        active.entry_id,
        're_engaged' as exit_reason,
        signs.kind as cause,
        min(signs.occurred_at) as happened_at,
        50 as priority
    from active
    inner join {{ activation }}.sync_life_signs as signs on active.lead_id = signs.lead_id
    where
        signs.occurred_at > active.entered_at
        and signs.occurred_at >= $oldest_entered_at
        and signs.occurred_at <= $as_of
    group by active.entry_id, signs.kind
),

entry_messages as (
    select
        messages.message_id,
        messages.channel,
        active.entry_id
    from {{ state }}.messages as messages
    inner join active on messages.entry_id = active.entry_id
    where messages.planned_at >= $oldest_entered_at
),

-- When the mail was there to be read. Twilio's receipt has no instant of its own: it may come after the click.
deliveries as (
    select
        entry_messages.message_id,
        min(events.occurred_at) as delivered_at
    from entry_messages
    inner join {{ state }}.message_events as events on entry_messages.message_id = events.message_id
    where
        events.event_type = 'delivered'
        and events.provider = 'sendgrid'
        and events.recorded_at >= $oldest_recorded_at
    group by entry_messages.message_id
),

-- Whoever follows the invisible link follows the visible one in the same minute.
trapped_clicks as (
    select distinct clicks.event_key
    from entry_messages
    inner join {{ state }}.message_events as traps on entry_messages.message_id = traps.message_id
    inner join {{ state }}.message_events as clicks on entry_messages.message_id = clicks.message_id
    where
        traps.event_type = 'clicked'
        and traps.detail = 'honeypot'
        and clicks.event_type = 'clicked'
        and traps.recorded_at >= $oldest_recorded_at
        and clicks.recorded_at >= $oldest_recorded_at
        and clicks.occurred_at between {{ add_seconds("traps.occurred_at", "-60") }}
        and {{ add_seconds("traps.occurred_at", "60") }}
),

-- A person, not a robot, followed the tracked link (nobody reads a mail within five seconds); or the provider told how
-- the message fared.
message_signs as (
    select
        entry_messages.entry_id,
        case
            when events.event_type = 'clicked' then 're_engaged'
            when events.event_type = 'complained' then 'complained'
            when events.event_type = 'unsubscribed' then 'unsubscribed'
            when events.event_type = 'bounced' then 'invalid_email'
            when events.event_type = 'dropped' then errors.exit_reason
            else coalesce(errors.exit_reason, 'sms_failed')
        end as exit_reason,
        events.event_type as cause,
        events.occurred_at as happened_at,
        case events.event_type when 'unsubscribed' then 10 when 'complained' then 10 when 'clicked' then 50 else 30 end
            as priority
    from entry_messages
    inner join {{ state }}.message_events as events on entry_messages.message_id = events.message_id
    left join {{ seeds }}.provider_errors as errors
        on
            events.provider = errors.provider
            and events.error_code = errors.error_code
            and errors.seen_in = 'receipt'
    left join deliveries on entry_messages.message_id = deliveries.message_id
    left join trapped_clicks on events.event_key = trapped_clicks.event_key
    where
        events.recorded_at >= $oldest_recorded_at
        and (
            (
                events.event_type = 'clicked'
                and events.is_human
                and trapped_clicks.event_key is null
                -- gateways scan before they deliver; a delivery that nobody told of within the hour is believed
                and (
                    entry_messages.channel = 'sms'
                    or events.occurred_at >= {{ add_seconds("deliveries.delivered_at", "5") }}
                    or (deliveries.message_id is null and events.occurred_at <= {{ add_seconds("$as_of", "-3600") }})
                )
            )
            or events.event_type in ('complained', 'unsubscribed')
            or (events.event_type = 'bounced' and entry_messages.channel = 'email')
            -- a drop for a reason of ours (spam content, quota) is nobody's bad address
            or (events.event_type = 'dropped' and entry_messages.channel = 'email' and errors.exit_reason is not null)
            -- a code nobody knows, or that says it may have arrived, is only counted
            or (
                events.event_type in ('undelivered', 'failed')
                and entry_messages.channel = 'sms'
                and errors.error_class in ('permanent', 'transient')
                and errors.action <> 'ignore'
            )
        )
),

-- An inbound text or an opt-out names an address, not a message.
active_addresses as (
    select
        entry_id,
        entered_at,
        email_hash as address_hash
    from active
    where email_hash is not null
    union all
    select
        entry_id,
        entered_at,
        phone_hash as address_hash
    from active
    where phone_hash is not null
),

address_signs as (
    select
        active_addresses.entry_id,
        case events.event_type when 'replied' then 'replied' else events.event_type end as exit_reason,
        events.event_type as cause,
        events.occurred_at as happened_at,
        case events.event_type when 'replied' then 40 when 'preference_paused' then 20 else 10 end as priority
    from {{ state }}.message_events as events
    inner join active_addresses on events.address_hash = active_addresses.address_hash
    where
        events.event_type in ('unsubscribed', 'complained', 'replied', 'preference_paused')
        and events.occurred_at >= active_addresses.entered_at
        and events.occurred_at >= $oldest_entered_at
),

-- Refused for good before acceptance.
refusals as (
    select
        active.entry_id,
        coalesce(
            errors.exit_reason, case messages.channel when 'email' then 'invalid_email' else 'sms_failed' end
        ) as exit_reason,
        'refused' as cause,
        messages.settled_at as happened_at,
        30 as priority
    from {{ state }}.messages as messages
    inner join active on messages.entry_id = active.entry_id
    left join {{ seeds }}.provider_errors as errors
        on
            messages.provider = errors.provider
            and messages.error_code = errors.error_code
            and errors.seen_in = 'api'
    where messages.status = 'failed' and messages.planned_at >= $oldest_entered_at
),

signs as (
    select * from life_signs
    union all
    select * from message_signs
    union all
    select * from address_signs
    union all
    select * from refusals
),

first_sign as (
    {{ first_of("signs", ["priority", "happened_at", "cause"]) | indent }}
)

{{ go_out("active", "first_sign", "cause") }}
