-- What people chose, once per choice, however often the page was sent.
insert into {{ state }}.preferences (
    choice_id, event_key, message_id, address_hash, address_channel, channel, topic, choice, wording_version, source,
    evidence, jurisdiction, occurred_at, landing_file, recorded_at
)
with ranked as (
    select
        incoming.*,
        row_number() over (
            partition by incoming.choice_id order by incoming.occurred_at asc, incoming.landing_file asc
        ) as arrival
    from {{ state }}.incoming_preferences as incoming
)

select
    ranked.choice_id,
    ranked.event_key,
    ranked.message_id,
    ranked.address_hash,
    ranked.address_channel,
    ranked.channel,
    ranked.topic,
    ranked.choice,
    ranked.wording_version,
    ranked.source,
    ranked.evidence,
    ranked.jurisdiction,
    ranked.occurred_at,
    ranked.landing_file,
    $recorded_at as recorded_at
from ranked
left join {{ state }}.preferences as known on ranked.choice_id = known.choice_id
where ranked.arrival = 1 and known.choice_id is null
