-- Nothing is sent for an entry whose exit, or to a person whose opt-out, was in the warehouse before the claim.
with sent as (
    select
        messages.message_id,
        messages.entry_id,
        messages.channel,
        messages.address_hash,
        messages.claimed_at,
        entries.email_hash,
        entries.phone_hash
    from {{ state }}.messages as messages
    inner join {{ state }}.journey_entries as entries on messages.entry_id = entries.entry_id
    where messages.attempting_at is not null and messages.status <> 'failed'
),

after_exit as (
    select distinct sent.message_id
    from sent
    inner join {{ state }}.journey_transitions as transitions on sent.entry_id = transitions.entry_id
    where
        transitions.exit_reason is not null
        and transitions.recorded_at <= sent.claimed_at
),

after_opt_out as (
    select distinct sent.message_id
    from sent
    inner join {{ state }}.suppressions as suppressions
        on
            (sent.address_hash = suppressions.address_hash and suppressions.channel in (sent.channel, 'all'))
            or (
                suppressions.address_hash in (sent.email_hash, sent.phone_hash)
                and suppressions.reason in ('unsubscribed', 'complained', 'provider_optout')
            )
    where suppressions.recorded_at <= sent.claimed_at and suppressions.lifted_at is null
)

select
    (select count(*) from after_exit) + (select count(*) from after_opt_out) as violations,
    (select count(*) from sent) as checked,
    'sends' as unit
