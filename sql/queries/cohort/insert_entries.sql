{% from "macros/audience.jinja" import listed, meets -%}
{% from "macros/moves.jinja" import drawn with context -%}
{% from "macros/offers.jinja" import offers with context -%}
-- Freeze the leads who want in today: who enters, in which arm, with the score that brought them in.
insert into {{ state }}.journey_entries (
    entry_id, campaign_id, journey_version, lead_id, person_id, arm, variant, household_id, cohort_date, entered_at,
    attribution_window_days, cold_score, score_contributions, segment, email_hash, phone_hash, run_id
)
with
-- Whoever offers themselves today: a row of the activation model, or the newest signal that came in.
offered as (
    {{ offers() | indent }}
),

newest_offers as (
    select
        offered.*,
        row_number() over (
            partition by offered.lead_id
            order by
                offered.happened_at desc nulls last, offered.crossed_cold_on desc nulls last, offered.cold_score desc
        ) as recency
    from offered
),

candidates as (
    select
        newest_offers.lead_id,
        newest_offers.person_id,
        newest_offers.cold_score,
        newest_offers.score_contributions,
        newest_offers.crossed_cold_on,
        newest_offers.happened_at,
        newest_offers.segment,
        contacts.email_hash,
        contacts.phone_hash
    from newest_offers
    inner join {{ activation }}.sync_lead_contacts as contacts on newest_offers.lead_id = contacts.lead_id
    {% if audience | default("") %}
    left join {{ activation }}.sync_lead_context as context on newest_offers.lead_id = context.lead_id
    {% endif %}
    where newest_offers.recency = 1 {{ meets(audience | default("")) | indent(8) }}
),

-- Everybody who is this person today, under whatever person each of them entered.
accounts as (
    select
        candidates.lead_id,
        contacts.lead_id as account_id
    from candidates
    inner join {{ activation }}.sync_lead_contacts as contacts on candidates.person_id = contacts.person_id
),

-- What this campaign has had with the person; what another one has is settled when both want to write.
history as (
    select
        own_entries.lead_id,
        max(entries.cohort_date) as last_cohort_date,
        max(entries.entered_at) as last_entered_at,
        max(case when journeys.exit_reason is null then 1 else 0 end) as is_under_way
    from (
        select
            candidates.lead_id,
            known.entry_id
        from candidates
        inner join {{ state }}.journey_entries as known on candidates.person_id = known.person_id
        where known.campaign_id = $campaign_id
        union all
        select
            accounts.lead_id,
            known.entry_id
        from accounts
        inner join {{ state }}.journey_entries as known on accounts.account_id = known.lead_id
        where known.campaign_id = $campaign_id
    ) as own_entries
    inner join {{ state }}.journey_entries as entries on own_entries.entry_id = entries.entry_id
    inner join {{ state }}.journey_state as journeys on own_entries.entry_id = journeys.entry_id
    group by own_entries.lead_id
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
-- The arm is drawn once per household; whoever shares an address with an earlier entry stays in that entry's arm,
-- and in the holdout if the earlier entries disagree, so that nobody held out is written to through a second address.
arms_by_address as (
    select
        earlier.lead_id,
        max(case when earlier.arm = 'holdout' then 1 else 0 end) as was_held_out
    from (
        {%- for identity in ["lead_id", "person_id", "email_hash", "phone_hash"] %}
        select
            candidates.lead_id,
            entries.arm
        from candidates
        inner join {{ state }}.journey_entries as entries on candidates.{{ identity }} = entries.{{ identity }}
        where entries.campaign_id = $campaign_id
        {%- if not loop.last %}
        union all
        {%- endif %}
        {%- endfor %}
    ) as earlier
    group by earlier.lead_id
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
    left join history on one_per_person.lead_id = history.lead_id
    left join arms_by_address on one_per_person.lead_id = arms_by_address.lead_id
    where
        one_per_person.rank_in_person = 1
        and coalesce(history.is_under_way, 0) = 0
        and (history.last_cohort_date is null or history.last_cohort_date < $cohort_date)
        and (history.last_cohort_date is null or history.last_cohort_date <= $may_re_enter_on)
        -- each time it happens, not each day it is remembered
        and (
            history.last_cohort_date is null
            or $re_entry <> 'each_time'
            or one_per_person.happened_at > history.last_entered_at
            or (one_per_person.happened_at is null and one_per_person.crossed_cold_on > history.last_cohort_date)
        )
),

room as (
    select $maximum_cohort_size - count(*) as places
    from {{ state }}.journey_entries
    where campaign_id = $campaign_id and cohort_date = $cohort_date
),

digests as (
    select
        eligible.*,
        max(eligible.was_held_out) over (partition by eligible.household_id) as household_was_held_out,
        {{ stable_id_digest("$campaign_id", "eligible.lead_id", "$cohort_date_text") }} as digest,
        {{ hash_fraction("$holdout_salt || '|' || $campaign_id || '|' || eligible.household_id") }} as draw,
        {{ hash_fraction("$holdout_salt || '|variant|' || $campaign_id || '|' || eligible.household_id") }}
            as variant_draw
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
        when household_was_held_out = 1 then 'holdout'
        when household_was_held_out = 0 then 'treatment'
        when draw < $holdout_share then 'holdout'
        else 'treatment'
    end as arm,
    {% if variants | default("") -%}
    {{ drawn("variant_draw", variants) | indent }}
    {%- else -%}
    cast(null as {{ text }})
    {%- endif %} as variant,
    household_id,
    $cohort_date as cohort_date,
    $as_of as entered_at,
    $attribution_window_days as attribution_window_days,
    cold_score,
    score_contributions,
    segment,
    email_hash,
    phone_hash,
    $run_id as run_id
from digests
