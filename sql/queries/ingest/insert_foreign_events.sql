-- Told about a message that is not ours, and about no address of anybody's: once per natural key, apart from what moves
-- anything. A stop, a dead mailbox or a reply counts whoever wrote the message it answers.
insert into {{ state }}.foreign_events (
    event_key, message_id, provider, event_type, provider_event, occurred_at, received_at, provider_message_id,
    error_code, address_hash, is_human, detail, landing_file, recorded_at
)
with ranked as (
    select
        incoming.*,
        row_number() over (
            partition by incoming.event_key order by incoming.received_at asc, incoming.landing_file asc
        ) as arrival
    from {{ state }}.incoming_events as incoming
    where
        incoming.event_type in ('accepted', 'sent', 'delivered', 'deferred', 'blocked', 'opened', 'clicked', 'other')
        and incoming.provider_event <> 'inbound'
        and not exists (
            select 1
            from {{ state }}.messages as messages
            where messages.message_id = incoming.message_id
        )
)

select
    ranked.event_key,
    ranked.message_id,
    ranked.provider,
    ranked.event_type,
    ranked.provider_event,
    ranked.occurred_at,
    ranked.received_at,
    ranked.provider_message_id,
    ranked.error_code,
    ranked.address_hash,
    ranked.is_human,
    ranked.detail,
    ranked.landing_file,
    $recorded_at as recorded_at
from ranked
left join {{ state }}.foreign_events as known on ranked.event_key = known.event_key
where ranked.arrival = 1 and known.event_key is null
