-- What changed between planning and this moment: why a planned message of the batch is not claimed now.
insert into {{ state }}.decisions (
    entry_id, message_id, campaign_id, lead_id, step_id, channel, reason, detail, decided_at, next_due_at, run_id
)
with refusals as (
    select distinct planned.message_id
    from {{ state }}.messages as planned
    inner join {{ state }}.journey_entries as entries on planned.entry_id = entries.entry_id
    inner join {{ state }}.suppressions as suppressions
        on
            suppressions.lifted_at is null
            and (
                (planned.address_hash = suppressions.address_hash and suppressions.channel in (planned.channel, 'all'))
                or (
                    suppressions.address_hash in (entries.email_hash, entries.phone_hash)
                    and suppressions.reason in ('unsubscribed', 'complained', 'provider_optout')
                )
            )
    where planned.batch_id = $batch_id and planned.status = 'planned'
)

select
    messages.entry_id,
    messages.message_id,
    messages.campaign_id,
    messages.lead_id,
    messages.step_id,
    messages.channel,
    case
        when journeys.exit_reason is not null or journeys.stage <> messages.step_id then 'entry_ended'
        when refusals.message_id is not null then 'suppressed'
        else 'outside_send_window'
    end as reason,
    cast(null as {{ text }}) as detail,
    $now as decided_at,
    case
        when
            journeys.exit_reason is null and journeys.stage = messages.step_id and refusals.message_id is null
            then messages.window_opens_at
    end as next_due_at,
    $run_id as run_id
from {{ state }}.messages as messages
inner join {{ state }}.journey_state as journeys on messages.entry_id = journeys.entry_id
left join refusals on messages.message_id = refusals.message_id
where
    messages.batch_id = $batch_id
    and messages.status = 'planned'
    and (
        journeys.exit_reason is not null
        or journeys.stage <> messages.step_id
        or refusals.message_id is not null
        or messages.window_opens_at > $now
    )
