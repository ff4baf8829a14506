-- Texts that are just coming in and do not stop anything, beside every text that had been sent to their number by then,
-- the newest first: one of those may have asked what these answer.
with texts as (
    select
        incoming.event_key,
        incoming.address_hash,
        min(incoming.occurred_at) as replied_at
    from {{ state }}.incoming_events as incoming
    left join {{ state }}.message_events as known on incoming.event_key = known.event_key
    where
        incoming.provider_event = 'inbound'
        and incoming.event_type <> 'unsubscribed'
        and incoming.address_hash is not null
        and known.event_key is null
    group by incoming.event_key, incoming.address_hash
),

elements as (
    select
        arrived.event_key,
        min(arrived.payload) as payload
    from {{ raw }}.webhook_elements as arrived
    inner join texts on arrived.event_key = texts.event_key
    where arrived.stream = 'twilio_inbound'
    group by arrived.event_key
)

select
    texts.event_key,
    texts.replied_at,
    elements.payload,
    messages.entry_id,
    messages.campaign_id,
    messages.step_id,
    coalesce(messages.journey_version, entries.journey_version) as journey_version,
    coalesce(messages.accepted_at, messages.attempting_at) as asked_at
from texts
inner join elements on texts.event_key = elements.event_key
inner join {{ state }}.messages as messages on texts.address_hash = messages.address_hash
inner join {{ state }}.journey_entries as entries on messages.entry_id = entries.entry_id
where
    messages.channel = 'sms'
    and messages.attempting_at <= texts.replied_at
    and messages.status not in ('failed', 'expired', 'withheld')
order by texts.event_key asc, messages.attempting_at desc, messages.message_id asc
