-- Nothing is sent for an entry whose exit, or to a person whose opt-out, was in the warehouse before the claim.
with sent as (
    select
        messages.message_id,
        messages.entry_id,
        messages.step_id,
        messages.channel,
        messages.address_hash,
        messages.claimed_at,
        entries.email_hash,
        entries.phone_hash
    from {{ state }}.messages as messages
    inner join {{ state }}.journey_entries as entries on messages.entry_id = entries.entry_id
    where messages.attempting_at is not null and messages.status <> 'failed'
),

-- A clock that is stepped by hand gives the claim and an end right after the send step one instant: what follows the
-- move that the accepted message made came after it.
after_exit as (
    select distinct sent.message_id
    from sent
    inner join {{ state }}.journey_transitions as transitions on sent.entry_id = transitions.entry_id
    left join {{ state }}.journey_transitions as moves
        on
            sent.entry_id = moves.entry_id
            and sent.step_id = moves.from_stage
            and sent.claimed_at = moves.recorded_at
            and moves.reason = 'message_accepted'
    where
        transitions.exit_reason is not null
        and (
            transitions.recorded_at < sent.claimed_at
            or (
                transitions.recorded_at = sent.claimed_at
                and (moves.sequence is null or moves.sequence > transitions.sequence)
            )
        )
),

-- A dead number that says stop later keeps its row and the instant it was first recorded; what it became known as since
-- is known since that event.
known_suppressions as (
    select
        suppressions.address_hash,
        suppressions.channel,
        suppressions.reason,
        suppressions.recorded_at,
        coalesce(events.recorded_at, suppressions.recorded_at) as reason_recorded_at
    from {{ state }}.suppressions as suppressions
    left join {{ state }}.message_events as events on suppressions.event_key = events.event_key
    where suppressions.lifted_at is null
),

after_opt_out as (
    select distinct sent.message_id
    from sent
    inner join known_suppressions
        on
            (
                sent.address_hash = known_suppressions.address_hash
                and known_suppressions.channel in (sent.channel, 'all')
                and sent.claimed_at >= known_suppressions.recorded_at
            )
            or (
                (sent.email_hash = known_suppressions.address_hash or sent.phone_hash = known_suppressions.address_hash)
                and known_suppressions.reason in ('unsubscribed', 'complained', 'provider_optout')
                and sent.claimed_at >= known_suppressions.reason_recorded_at
            )
)

select
    (select count(*) from after_exit) + (select count(*) from after_opt_out) as violations,
    (select count(*) from sent) as checked,
    'sends' as unit
