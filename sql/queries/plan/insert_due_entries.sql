{% from "macros/people.jinja" import addresses_of, asked_for_less_and_heard, holding_back, join_zone_evidence,
    latest_consents_of, refusing, written_since with context -%}
-- Judge every due entry at a send step. One reason per clause, the first that holds decides; the reasons are the words
-- of the product. Nobody who is still under way entered before oldest_entered_at.
insert into {{ state }}.due_entries (
    entry_id, campaign_id, lead_id, person_id, arm, step_id, channel, attempt_class, address_hash, verdict, reason,
    time_zones, window_opens_at, window_closes_at, next_due_at, detail
)
with due as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.person_id,
        journeys.arm,
        journeys.stage_entered_at,
        contacts.time_zone,
        contacts.country,
        contacts.state,
        contacts.postal_code,
        contacts.email_hash,
        contacts.phone_hash,
        entries.email_hash as entered_email_hash,
        entries.phone_hash as entered_phone_hash,
        $channel as channel,
        case $channel when 'email' then contacts.email_hash else contacts.phone_hash end as address_hash
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
    -- whose contact row is gone can not be reached, and is told so
    left join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
    where
        journeys.campaign_id = $campaign_id
        and journeys.journey_version = $journey_version
        and journeys.stage = $step_id
        and journeys.exit_reason is null
        and journeys.due_at <= $as_of
        and entries.entered_at >= $oldest_entered_at
        -- a provider asked to wait, or an account is held: until then a message that expired is not planned anew
        and not exists (
            select 1
            from {{ state }}.decisions as decisions
            where
                decisions.entry_id = journeys.entry_id
                and decisions.step_id = journeys.stage
                and {{ holding_back("decisions", "$as_of") | indent(12) }}
        )
),

attempts as (
    select
        messages.entry_id,
        count(*) as attempt_count,
        max(case when messages.status = 'expired' then 0 else 1 end) as is_under_way
    from {{ state }}.messages as messages
    inner join due on messages.entry_id = due.entry_id
    where messages.step_id = $step_id and messages.planned_at >= $oldest_entered_at
    group by messages.entry_id
),

-- Whose message could not be made even when patience had ended: a field she lacks, a text too long. A provider that
-- refuses us says `configuration` too, but of messages that were attempted. The words of another version are others.
unfilled as (
    select distinct due.entry_id
    from due
    inner join {{ state }}.messages as messages on due.entry_id = messages.entry_id
    inner join {{ state }}.decisions as decisions on messages.message_id = decisions.message_id
    where
        messages.step_id = $step_id
        and messages.planned_at >= $oldest_entered_at
        and messages.journey_version = $journey_version
        and messages.attempting_at is null
        and decisions.reason = 'configuration'
        and decisions.decided_at >= {{ add_seconds("due.stage_entered_at", "$patience_seconds") }}
),

-- Every address of the person, so that joins stay equalities.
addresses as (
    {{ addresses_of("due", "entry_id") }}
),

-- Who said stop on one address is not written to on another.
refusing_people as (
    {{ refusing("addresses", "entry_id") }}
),

-- The latest word on consent, per address and channel.
latest_consents as (
    {{ latest_consents_of("due", "$channel") }}
),

-- Rolling, over all campaigns and other tools.
recent_messages as (
    {{ written_since("due", "addresses", "entry_id", "$cap_since") }}
),

-- Who asked for one message in thirty days had it.
heard_enough as (
    {{ asked_for_less_and_heard("addresses", "entry_id", "$as_of") }}
),

assessed as (
    select
        due.*,
        coalesce(attempts.attempt_count, 0) as attempt_count,
        coalesce(attempts.is_under_way, 0) as is_under_way,
        refusing_people.entry_id as refusing_entry_id,
        consents.action as consent_action,
        consents.expires_at as consent_expires_at,
        coalesce(recent_messages.message_count, 0) as message_count,
        heard_enough.entry_id as heard_enough_entry_id,
        checks.is_usable,
        windows.time_zones,
        windows.window_opens_at,
        windows.window_closes_at,
        lost_turns.winning_campaign_id,
        unfilled.entry_id as unfilled_entry_id
    from due
    left join attempts on due.entry_id = attempts.entry_id
    left join unfilled on due.entry_id = unfilled.entry_id
    left join refusing_people on due.entry_id = refusing_people.entry_id
    left join latest_consents as consents
        on due.address_hash = consents.address_hash and due.channel = consents.channel and consents.recency = 1
    left join recent_messages on due.entry_id = recent_messages.entry_id
    left join heard_enough on due.entry_id = heard_enough.entry_id
    left join {{ state }}.lost_turns as lost_turns on due.entry_id = lost_turns.entry_id and lost_turns.as_of = $as_of
    left join {{ state }}.contact_checks as checks
        on due.address_hash = checks.address_hash and checks.channel = $channel
    {{ join_zone_evidence("due") | indent }}
),

judged as (
    select
        assessed.*,
        case
            -- a person stopped it; everybody keeps their place
            when cast($stopped_by as {{ text }}) is not null then 'hold:stopped'
            -- on their list of things never to do again
            when refusing_entry_id is not null then 'exit:suppressed'
            -- nowhere to write to
            when address_hash is null then 'skip:no_reachable_channel'
            -- the address can not take this channel
            when is_usable = false and $channel = 'email' then 'exit:invalid_email'
            when is_usable = false then 'exit:invalid_phone'
            -- permission ran out while the lead waited
            when consent_action = 'granted' and consent_expires_at <= $as_of then 'exit:consent_expired'
            -- no permission for this channel
            when coalesce(consent_action, 'none') <> 'granted' then 'skip:consent_missing'
            -- the check could not be made now; the lead is not to blame
            when is_usable is null then 'defer:provider_busy'
            -- written to often enough
            when message_count >= $cap_messages then 'defer:frequency_cap'
            when heard_enough_entry_id is not null then 'defer:frequency_cap'
            -- no decent hour came in all this time: every wait ends
            when window_opens_at is null and stage_entered_at <= $give_up_since then 'skip:time_zone_unknown'
            when window_opens_at > $as_of and stage_entered_at <= $give_up_since then 'skip:outside_send_window'
            -- nothing filled the template in all this time
            when unfilled_entry_id is not null and stage_entered_at <= $give_up_since then 'skip:configuration'
            -- no hour is known to be decent
            when window_opens_at is null then 'defer:time_zone_unknown'
            -- not now, in at least one zone she may be in
            when window_opens_at > $as_of then 'defer:outside_send_window'
            -- another campaign writes to the person today
            when winning_campaign_id is not null then 'defer:lost_arbitration'
            -- identical pipeline, never sent
            when arm = 'holdout' then 'withhold:holdout'
            else 'send:due'
        end as judgement
    from assessed
    where is_under_way = 0
)

select
    entry_id,
    campaign_id,
    lead_id,
    person_id,
    arm,
    $step_id as step_id,
    $channel as channel,
    'attempt-' || cast(attempt_count + 1 as {{ text }}) as attempt_class,
    address_hash,
    substr(judgement, 1, {{ position("':'", "judgement") }} - 1) as verdict,
    substr(judgement, {{ position("':'", "judgement") }} + 1) as reason,
    time_zones,
    window_opens_at,
    window_closes_at,
    case
        when judgement = 'defer:outside_send_window' then window_opens_at
        when judgement like 'defer:%' then {{ add_seconds("$as_of", "86400") }}
    end as next_due_at,
    case
        when judgement = 'hold:stopped' then $stopped_by
        when judgement = 'defer:lost_arbitration' then winning_campaign_id
        else time_zones
    end as detail
from judged
