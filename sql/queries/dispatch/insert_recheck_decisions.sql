{% from "macros/people.jinja" import addresses_of, asked_for_less_and_heard, latest_consents_of, refusing, written_since
    with context -%}
-- The re-check at the last moment: why a planned message of the batch is not claimed now, the first reason that holds.
insert into {{ state }}.decisions (
    entry_id, message_id, campaign_id, lead_id, step_id, channel, reason, detail, decided_at, next_due_at, run_id
)
with planned as (
    select
        messages.message_id,
        messages.entry_id,
        messages.campaign_id,
        messages.lead_id,
        messages.step_id,
        messages.channel,
        messages.address_hash,
        messages.window_opens_at,
        contacts.email_hash,
        contacts.phone_hash,
        entries.email_hash as entered_email_hash,
        entries.phone_hash as entered_phone_hash,
        journeys.exit_reason,
        journeys.stage,
        case messages.channel when 'email' then contacts.email_hash else contacts.phone_hash end as current_address_hash
    from {{ state }}.messages as messages
    inner join {{ state }}.journey_entries as entries on messages.entry_id = entries.entry_id
    inner join {{ state }}.journey_state as journeys on messages.entry_id = journeys.entry_id
    left join {{ activation }}.sync_lead_contacts as contacts on messages.lead_id = contacts.lead_id
    where messages.batch_id = $batch_id and messages.status = 'planned'
),

-- Every address of the person, so that joins stay equalities.
addresses as (
    {{ addresses_of("planned", "message_id") }}
),

refusals as (
    {{ refusing("addresses", "message_id") }}
),

latest_consents as (
    {{ latest_consents_of("planned") }}
),

-- What left inside the rolling days, and what of this campaign is about to leave before this one.
written as (
    {{ written_since("planned", "addresses", "message_id", "$cap_since", own="message_id") }}
),

heard_enough as (
    {{ asked_for_less_and_heard("addresses", "message_id", "$now", own="message_id") }}
),

rechecked as (
    select
        planned.*,
        case
            when planned.exit_reason is not null or planned.stage <> planned.step_id then 'entry_ended'
            when refusals.message_id is not null then 'suppressed'
            when planned.current_address_hash is distinct from planned.address_hash then 'address_changed'
            when
                coalesce(consents.action, 'none') <> 'granted' or consents.expires_at <= $now
                then 'consent_missing'
            when coalesce(written.message_count, 0) >= $cap_messages then 'frequency_cap'
            when heard_enough.message_id is not null then 'frequency_cap'
            when planned.window_opens_at > $now then 'outside_send_window'
        end as reason
    from planned
    left join refusals on planned.message_id = refusals.message_id
    left join latest_consents as consents
        on
            planned.address_hash = consents.address_hash
            and planned.channel = consents.channel
            and consents.recency = 1
    left join written on planned.message_id = written.message_id
    left join heard_enough on planned.message_id = heard_enough.message_id
)

select
    rechecked.entry_id,
    rechecked.message_id,
    rechecked.campaign_id,
    rechecked.lead_id,
    rechecked.step_id,
    rechecked.channel,
    rechecked.reason,
    cast(null as {{ text }}) as detail,
    $now as decided_at,
    case
        when rechecked.reason = 'outside_send_window' then rechecked.window_opens_at
        when rechecked.reason = 'frequency_cap' then {{ add_seconds("$now", "86400") }}
    end as next_due_at,
    $run_id as run_id
from rechecked
left join {{ state }}.decisions as known
    on
        rechecked.message_id = known.message_id
        and rechecked.reason = known.reason
        and known.decided_at = $now
where rechecked.reason is not null and known.message_id is null
