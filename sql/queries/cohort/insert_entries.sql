-- Freeze the leads who just crossed the cold line: who enters, in which arm, with the score that brought them in.
insert into {{ state }}.journey_entries (
    entry_id, campaign_id, journey_version, lead_id, person_id, arm, variant, cohort_date, entered_at,
    cold_score, score_contributions, segment, email_hash, phone_hash, run_id
)
with candidates as (
    select
        cold.lead_id,
        cold.person_id,
        cold.cold_score,
        cold.score_contributions,
        cold.crossed_cold_on,
        cold.segment,
        contacts.email_hash,
        contacts.phone_hash
    from {{ activation }}.sync_cold_leads as cold
    inner join {{ activation }}.sync_lead_contacts as contacts on cold.lead_id = contacts.lead_id
    where cold.scored_as_of = $as_of
),

history as (
    select
        person_id,
        max(cohort_date) as last_cohort_date,
        max(case when cohort_date = $cohort_date then 1 else 0 end) as entered_today
    from {{ state }}.journey_entries
    where campaign_id = $campaign_id
    group by person_id
),

-- Who share an address and enter on the same day are one household, with one draw for all: the smallest person id
-- passes along shared addresses, three times, so that chains of neighbours meet.
{% for household, people, smallest_id in [
    ("neighbours", "candidates", "person_id"),
    ("wider_neighbours", "neighbours", "household_id"),
    ("households", "wider_neighbours", "household_id"),
] %}
{{ household }} as (
    select
        lead_id,
        email_hash,
        phone_hash,
        least(
            {{ smallest_id }},
            min({{ smallest_id }}) over (partition by coalesce(email_hash, lead_id)),
            min({{ smallest_id }}) over (partition by coalesce(phone_hash, lead_id))
        ) as household_id
    from {{ people }}
),

{% endfor %}
active_people as (
    select distinct person_id
    from {{ state }}.journey_state
    where exit_reason is null
),

-- The arm is drawn once per person; whoever shares an address with an earlier entry stays in that entry's arm,
-- and in the holdout if the earlier entries disagree, so that nobody held out is written to through a second address.
arms_by_address as (
    select
        candidates.lead_id,
        max(case when entries.arm = 'holdout' then 1 else 0 end) as was_held_out
    from candidates
    inner join {{ state }}.journey_entries as entries
        on
            entries.campaign_id = $campaign_id
            and (
                candidates.person_id = entries.person_id
                or candidates.email_hash = entries.email_hash
                or candidates.phone_hash = entries.phone_hash
            )
    group by candidates.lead_id
),

one_per_person as (
    select
        candidates.*,
        row_number() over (
            partition by candidates.person_id
            order by candidates.cold_score desc, candidates.lead_id asc
        ) as rank_in_person
    from candidates
),

eligible as (
    select
        one_per_person.*,
        households.household_id,
        arms_by_address.was_held_out,
        row_number() over (
            order by one_per_person.crossed_cold_on desc, one_per_person.cold_score desc, one_per_person.lead_id asc
        ) as rank_in_cohort
    from one_per_person
    inner join households on one_per_person.lead_id = households.lead_id
    left join history on one_per_person.person_id = history.person_id
    left join active_people on one_per_person.person_id = active_people.person_id
    left join arms_by_address on one_per_person.lead_id = arms_by_address.lead_id
    where
        one_per_person.rank_in_person = 1
        and active_people.person_id is null
        and coalesce(history.entered_today, 0) = 0
        and (history.last_cohort_date is null or history.last_cohort_date <= $may_re_enter_on)
),

room as (
    select $maximum_cohort_size - count(*) as places
    from {{ state }}.journey_entries
    where campaign_id = $campaign_id and cohort_date = $cohort_date
),

digests as (
    select
        eligible.*,
        {{ stable_id_digest("$campaign_id", "eligible.lead_id", "$cohort_date_text") }} as digest,
        {{ hash_fraction("$holdout_salt || '|' || $campaign_id || '|' || eligible.household_id") }} as draw
    from eligible
    cross join room
    where eligible.rank_in_cohort <= room.places
)

select
    {{ uuid_of_digest("digest") }} as entry_id,
    $campaign_id as campaign_id,
    $journey_version as journey_version,
    lead_id,
    person_id,
    case
        when was_held_out = 1 then 'holdout'
        when was_held_out = 0 then 'treatment'
        when draw < $holdout_share then 'holdout'
        else 'treatment'
    end as arm,
    cast(null as {{ text }}) as variant,
    $cohort_date as cohort_date,
    $as_of as entered_at,
    cold_score,
    score_contributions,
    segment,
    email_hash,
    phone_hash,
    $run_id as run_id
from digests
