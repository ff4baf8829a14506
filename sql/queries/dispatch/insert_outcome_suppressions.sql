-- The provider refused because of the address (she said stop to the provider, the number is dead): remember it at once,
-- also when the attempt was overtaken: it is about the address and not about the message.
insert into {{ state }}.suppressions (
    address_hash, channel, topic, reason, source, event_key, suppressed_at, lifted_at, recorded_at
)
select distinct
    messages.address_hash,
    messages.channel,
    'all' as topic,
    outcomes.suppression_reason as reason,
    messages.provider as source,
    cast(null as {{ text }}) as event_key,
    $now as suppressed_at,
    cast(null as {{ timestamp }}) as lifted_at,
    $now as recorded_at
from {{ state }}.attempt_outcomes as outcomes
inner join {{ state }}.messages as messages on outcomes.message_id = messages.message_id
left join {{ state }}.suppressions as known
    on
        messages.address_hash = known.address_hash
        and messages.channel = known.channel
        and known.topic = 'all'
        and known.lifted_at is null
where
    outcomes.attempt_id = $attempt_id
    and messages.batch_id = $batch_id
    and outcomes.suppression_reason is not null
    and known.address_hash is null
