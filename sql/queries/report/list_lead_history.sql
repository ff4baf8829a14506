with lead_entries as (
    select
        entry_id,
        campaign_id,
        journey_version,
        arm,
        cohort_date,
        entered_at,
        cold_score,
        score_contributions,
        segment,
        run_id
    from {{ state }}.journey_entries
    where lead_id = $lead_id
),

lead_messages as (
    select
        message_id,
        campaign_id,
        step_id,
        channel,
        status,
        planned_at,
        attempting_at,
        provider,
        error_code,
        address_hash,
        run_id
    from {{ state }}.messages
    where lead_id = $lead_id
),

lead_addresses as (
    select
        email_hash as address_hash,
        'email' as channel
    from {{ activation }}.sync_lead_contacts
    where lead_id = $lead_id and email_hash is not null
    union all
    select
        phone_hash as address_hash,
        'sms' as channel
    from {{ activation }}.sync_lead_contacts
    where lead_id = $lead_id and phone_hash is not null
    union all
    -- an address may have changed since it was written to
    select
        address_hash,
        channel
    from lead_messages
),

-- Why somebody stays where they are is told once, by the decision.
told_by_decision as (
    select distinct
        entry_id,
        decided_at,
        reason
    from {{ state }}.decisions
    where lead_id = $lead_id
),

known_addresses as (
    select distinct
        address_hash,
        channel
    from lead_addresses
)

select
    lead_entries.entered_at as happened_at,
    10 as place,
    lead_entries.campaign_id,
    'entered' as kind,
    lead_entries.arm || ', cohort of ' || cast(lead_entries.cohort_date as {{ text }}) as what,
    'cold score ' || {{ tenths_text("lead_entries.cold_score") }} || ' ' || lead_entries.score_contributions
    || coalesce(', ' || lead_entries.segment, '') || ', journey version ' || lead_entries.journey_version as why,
    lead_entries.run_id
from lead_entries
union all
select
    transitions.happened_at,
    case
        when transitions.exit_reason is not null then 70
        when transitions.sequence = 1 then 11
        when transitions.reason in ('message_accepted', 'message_withheld') then 45
        else 20
    end as place,
    transitions.campaign_id,
    'moved' as kind,
    coalesce(transitions.from_stage || ' -> ', '') || transitions.to_stage
    || coalesce(', ended as ' || transitions.exit_reason, '')
    || coalesce(', due ' || {{ instant_text("transitions.due_at") }}, '') as what,
    transitions.reason as why,
    transitions.run_id
from {{ state }}.journey_transitions as transitions
inner join lead_entries on transitions.entry_id = lead_entries.entry_id
left join told_by_decision
    on
        transitions.entry_id = told_by_decision.entry_id
        and transitions.happened_at = told_by_decision.decided_at
        and transitions.reason = told_by_decision.reason
        and transitions.from_stage = transitions.to_stage
where told_by_decision.entry_id is null
union all
select
    lead_messages.planned_at as happened_at,
    30 as place,
    lead_messages.campaign_id,
    'planned' as kind,
    lead_messages.channel || ' of step ' || lead_messages.step_id as what,
    'message ' || lead_messages.message_id as why,
    lead_messages.run_id
from lead_messages
union all
select
    lead_messages.attempting_at as happened_at,
    40 as place,
    lead_messages.campaign_id,
    'sent' as kind,
    lead_messages.channel || ' of step ' || lead_messages.step_id || coalesce(' by ' || lead_messages.provider, '')
        as what,
    'message ' || lead_messages.message_id || ' stands at ' || lead_messages.status
    || coalesce(' (' || lead_messages.error_code || ')', '') as why,
    lead_messages.run_id
from lead_messages
where lead_messages.attempting_at is not null
union all
select
    decisions.decided_at as happened_at,
    35 as place,
    decisions.campaign_id,
    'not sent' as kind,
    decisions.channel || ' of step ' || decisions.step_id
    || coalesce(', again from ' || {{ instant_text("decisions.next_due_at") }}, '') as what,
    decisions.reason || coalesce(': ' || decisions.detail, '') as why,
    decisions.run_id
from {{ state }}.decisions as decisions
where decisions.lead_id = $lead_id
union all
select
    events.occurred_at as happened_at,
    50 as place,
    lead_messages.campaign_id,
    'heard' as kind,
    events.provider || ': ' || events.event_type
    || case when events.is_human then ', a person' when not events.is_human then ', a machine' else '' end as what,
    coalesce('message ' || events.message_id, 'address of the lead') || coalesce(', code ' || events.error_code, '')
    || coalesce(', ' || events.detail, '') as why,
    null as run_id
from {{ state }}.message_events as events
left join lead_messages on events.message_id = lead_messages.message_id
where
    lead_messages.message_id is not null
    or (
        events.message_id is null
        and events.address_hash in (select known_addresses.address_hash from known_addresses)
    )
union all
select
    suppressions.suppressed_at as happened_at,
    60 as place,
    null as campaign_id,
    'suppressed' as kind,
    suppressions.channel || ', topic ' || suppressions.topic
    || coalesce(', lifted ' || {{ instant_text("suppressions.lifted_at") }}, '') as what,
    suppressions.reason || ', told by ' || suppressions.source as why,
    null as run_id
from {{ state }}.suppressions as suppressions
where suppressions.address_hash in (select known_addresses.address_hash from known_addresses)
union all
select
    consents.occurred_at as happened_at,
    5 as place,
    null as campaign_id,
    'consent' as kind,
    consents.action || ', ' || consents.channel || ', topic ' || consents.topic
    || coalesce(', until ' || {{ instant_text("consents.expires_at") }}, '') as what,
    consents.source || coalesce(', wording ' || consents.wording_version, '') as why,
    null as run_id
from {{ state }}.consents as consents
where
    consents.lead_id = $lead_id
    or consents.address_hash in (select known_addresses.address_hash from known_addresses)
union all
select
    checks.checked_at as happened_at,
    25 as place,
    null as campaign_id,
    'checked' as kind,
    checks.channel || case when checks.is_usable then ' usable' else ' not usable' end as what,
    checks.reason || coalesce(', ' || checks.line_type, '') as why,
    null as run_id
from {{ state }}.contact_checks as checks
where checks.address_hash in (select known_addresses.address_hash from known_addresses)
union all
-- the log may have told it twice
select distinct
    signs.occurred_at as happened_at,
    1 as place,
    cast(null as {{ text }}) as campaign_id,
    'alive' as kind,
    signs.event_type as what,
    signs.kind as why,
    cast(null as {{ text }}) as run_id
from {{ activation }}.sync_life_signs as signs
where signs.lead_id = $lead_id
order by happened_at, place, kind, what, why
