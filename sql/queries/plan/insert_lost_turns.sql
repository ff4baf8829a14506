-- One campaign a day writes to a person: whoever wrote already, then by priority, value and age. The others wait until
-- tomorrow. It is settled once for all campaigns of the tick, so it does not matter which of them is planned first.
-- Nobody who is still under way entered before oldest_entered_at.
insert into {{ state }}.lost_turns (as_of, entry_id, campaign_id, winning_campaign_id)
with waiting as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.person_id,
        journeys.stage,
        journeys.stage_entered_at,
        turns.priority,
        entries.cold_score,
        -- who could not go for reasons of its own since yesterday lets others pass
        case
            when
                moves.from_stage = moves.to_stage
                and moves.reason in ('frequency_cap', 'time_zone_unknown', 'provider_busy')
                then 1
            else 0
        end as was_held_up
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.campaign_turns as turns
        on journeys.campaign_id = turns.campaign_id and turns.as_of = $as_of
    inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
    left join {{ state }}.journey_transitions as moves
        on
            journeys.entry_id = moves.entry_id
            and journeys.last_sequence = moves.sequence
            and moves.happened_at >= $oldest_entered_at
    where
        journeys.exit_reason is null
        and journeys.due_at <= $as_of
        and entries.entered_at >= $oldest_entered_at
),

under_way as (
    select distinct waiting.entry_id
    from waiting
    inner join {{ state }}.messages as messages
        on waiting.entry_id = messages.entry_id and waiting.stage = messages.step_id
    where messages.status <> 'expired' and messages.planned_at >= $oldest_entered_at
),

-- What may still leave, and what left today. What is withheld from a holdout counts as it would have counted. Two
-- readings, because an engine skips what is long past only if all it is asked for lies in a range.
of_today as (
    select
        messages.entry_id,
        messages.lead_id,
        messages.campaign_id
    from {{ state }}.messages as messages
    where
        messages.status in ('claimed', 'attempting')
        or (messages.status = 'planned' and messages.expires_at > $as_of)
    union all
    select
        messages.entry_id,
        messages.lead_id,
        messages.campaign_id
    from {{ state }}.messages as messages
    where
        messages.planned_at >= $day_begins_at
        and messages.status not in ('expired', 'failed', 'claimed', 'attempting', 'planned')
),

-- Who each of them is today, asked once for all.
persons as (
    select
        contacts.lead_id,
        contacts.person_id
    from (
        select waiting.lead_id
        from waiting
        union distinct
        select of_today.lead_id
        from of_today
    ) as leads
    inner join {{ activation }}.sync_lead_contacts as contacts on leads.lead_id = contacts.lead_id
),

due as (
    select
        waiting.entry_id,
        waiting.campaign_id,
        waiting.stage_entered_at,
        waiting.priority,
        waiting.cold_score,
        waiting.was_held_up,
        coalesce(persons.person_id, waiting.person_id) as person_id
    from waiting
    left join persons on waiting.lead_id = persons.lead_id
),

written as (
    select
        persons.person_id,
        of_today.campaign_id
    from of_today
    inner join persons on of_today.lead_id = persons.lead_id
    where persons.person_id is not null
    union distinct
    -- whose contact row is gone
    select
        journeys.person_id,
        of_today.campaign_id
    from of_today
    left join persons on of_today.lead_id = persons.lead_id
    inner join {{ state }}.journey_state as journeys on of_today.entry_id = journeys.entry_id
    where persons.person_id is null
),

claims as (
    select
        due.person_id,
        due.campaign_id,
        due.entry_id,
        due.was_held_up,
        due.priority,
        due.cold_score,
        due.stage_entered_at,
        0 as has_written
    from due
    left join under_way on due.entry_id = under_way.entry_id
    where under_way.entry_id is null
    union all
    select
        written.person_id,
        written.campaign_id,
        cast(null as {{ text }}) as entry_id,
        0 as was_held_up,
        0 as priority,
        0.0 as cold_score,
        $as_of as stage_entered_at,
        1 as has_written
    from written
    where written.person_id in (select due.person_id from due)
),

ranked as (
    select
        claims.entry_id,
        claims.campaign_id,
        first_value(claims.campaign_id) over (
            partition by claims.person_id
            order by
                claims.has_written desc,
                claims.was_held_up asc,
                claims.priority desc,
                claims.cold_score desc,
                claims.stage_entered_at asc,
                claims.campaign_id asc
            rows between unbounded preceding and unbounded following
        ) as winning_campaign_id
    from claims
)

select
    $as_of as as_of,
    ranked.entry_id,
    ranked.campaign_id,
    ranked.winning_campaign_id
from ranked
left join {{ state }}.lost_turns as known on ranked.entry_id = known.entry_id and known.as_of = $as_of
where ranked.entry_id is not null and ranked.campaign_id <> ranked.winning_campaign_id and known.entry_id is null
