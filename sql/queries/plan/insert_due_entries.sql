-- Judge every due entry at a send step. One reason per clause, the first that holds decides; the reasons are the words
-- of the product.
insert into {{ state }}.due_entries (
    entry_id, campaign_id, lead_id, person_id, arm, step_id, channel, attempt_class, address_hash, verdict, reason,
    time_zones, window_opens_at, window_closes_at, next_due_at
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
        contacts.email_hash,
        contacts.phone_hash,
        case $channel when 'email' then contacts.email_hash else contacts.phone_hash end as address_hash
    from {{ state }}.journey_state as journeys
    -- whose contact row is gone can not be reached, and is told so
    left join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
    where
        journeys.campaign_id = $campaign_id
        and journeys.stage = $step_id
        and journeys.exit_reason is null
        and journeys.due_at <= $as_of
),

attempts as (
    select
        messages.entry_id,
        count(*) as attempt_count,
        max(case when messages.status = 'expired' then 0 else 1 end) as is_under_way
    from {{ state }}.messages as messages
    inner join due on messages.entry_id = due.entry_id
    where messages.step_id = $step_id
    group by messages.entry_id
),

-- Every address of the person, so that joins stay equalities.
addresses as (
    select
        entry_id,
        address_hash as due_address_hash,
        email_hash as address_hash
    from due
    where email_hash is not null
    union all
    select
        entry_id,
        address_hash as due_address_hash,
        phone_hash as address_hash
    from due
    where phone_hash is not null
),

-- Who said stop on one address is not written to on another.
refusing_people as (
    select distinct addresses.entry_id
    from addresses
    inner join {{ state }}.suppressions as suppressions on addresses.address_hash = suppressions.address_hash
    where
        suppressions.lifted_at is null
        and (
            suppressions.reason in ('unsubscribed', 'complained', 'provider_optout')
            or (addresses.address_hash = addresses.due_address_hash and suppressions.channel in ($channel, 'all'))
        )
),

-- The latest word on consent, per address, for this channel and topic.
latest_consents as (
    select
        consents.address_hash,
        consents.action,
        consents.expires_at,
        row_number() over (
            partition by consents.address_hash order by consents.occurred_at desc, consents.consent_id desc
        ) as recency
    from {{ state }}.consents as consents
    inner join due on consents.address_hash = due.address_hash
    where consents.channel = $channel and consents.topic in ($topic, 'all')
),

-- Rolling, over all campaigns, counted per address from when a message left: two zero-o'clocks are not two days.
-- What is withheld from a holdout counts as it would have counted.
recent_messages as (
    select
        addresses.entry_id,
        count(distinct messages.message_id) as message_count
    from addresses
    inner join {{ state }}.messages as messages on addresses.address_hash = messages.address_hash
    where
        coalesce(messages.attempting_at, messages.settled_at, messages.planned_at) > $cap_since
        and messages.status not in ('expired', 'failed')
    group by addresses.entry_id
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
        checks.is_usable,
        windows.time_zones,
        windows.window_opens_at,
        windows.window_closes_at
    from due
    left join attempts on due.entry_id = attempts.entry_id
    left join refusing_people on due.entry_id = refusing_people.entry_id
    left join latest_consents as consents on due.address_hash = consents.address_hash and consents.recency = 1
    left join recent_messages on due.entry_id = recent_messages.entry_id
    left join {{ state }}.contact_checks as checks
        on due.address_hash = checks.address_hash and checks.channel = $channel
    left join {{ state }}.number_time_zones as numbers
        on due.phone_hash = numbers.phone_hash and due.time_zone is null
    left join {{ state }}.send_windows as windows
        on
            windows.campaign_id = $campaign_id
            and windows.channel = $channel
            and windows.as_of = $as_of
            and due.time_zone is not distinct from windows.profile_time_zone
            and numbers.time_zones is not distinct from windows.phone_time_zones
            and due.country is not distinct from windows.country
),

judged as (
    select
        assessed.*,
        case
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
            -- no decent hour came in all this time: every wait ends
            when window_opens_at is null and stage_entered_at <= $give_up_since then 'skip:time_zone_unknown'
            when window_opens_at > $as_of and stage_entered_at <= $give_up_since then 'skip:outside_send_window'
            -- no hour is known to be decent
            when window_opens_at is null then 'defer:time_zone_unknown'
            -- not now, in at least one zone she may be in
            when window_opens_at > $as_of then 'defer:outside_send_window'
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
    substr(judgement, 1, strpos(judgement, ':') - 1) as verdict,
    substr(judgement, strpos(judgement, ':') + 1) as reason,
    time_zones,
    window_opens_at,
    window_closes_at,
    case
        when judgement = 'defer:outside_send_window' then window_opens_at
        when judgement like 'defer:%' then {{ add_seconds("$as_of", "86400") }}
    end as next_due_at
from judged
