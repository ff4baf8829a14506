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

-- Earlier entries of theirs. The person, and each account she has today, tells what this campaign has had with her
-- (what another one has is settled when both want to write); any address tells in which arm it was. The few entries are
-- found before anything is joined to them, and `distinct` tells an engine that few are asked for: there are entries of
-- years.
{%- set identities = [
    ("person_id", "person_id", "candidates"),
    ("account_id", "lead_id", "accounts"),
    ("lead_id", "lead_id", "candidates"),
    ("email_hash", "email_hash", "candidates"),
    ("phone_hash", "phone_hash", "candidates"),
] %}
known as (
    {%- for identity, column, people in identities %}
    select
        '{{ identity }}' as identity,
        entries.{{ column }} as known_by,
        entries.entry_id,
        entries.arm,
        entries.cohort_date,
        entries.entered_at
    from {{ state }}.journey_entries as entries
    where
        entries.campaign_id = $campaign_id
        and entries.{{ column }} in (select distinct people.{{ identity }} from {{ people }} as people)
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

identities as (
    {%- for identity, column, people in identities %}
    select
        people.lead_id,
        '{{ identity }}' as identity,
        people.{{ identity }} as known_by,
        {{ 1 if identity in ("person_id", "account_id") else 0 }} as tells_history,
        {{ 1 if identity != "account_id" else 0 }} as tells_arm
    from {{ people }} as people
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

-- The arm is drawn once per household; whoever shares an address with an earlier entry stays in that entry's arm,
-- and in the holdout if the earlier entries disagree, so that nobody held out is written to through a second address.
earlier as (
    select
        identities.lead_id,
        max(case when identities.tells_history = 1 then known.cohort_date end) as last_cohort_date,
        max(case when identities.tells_history = 1 then known.entered_at end) as last_entered_at,
        max(case when identities.tells_history = 1 and journeys.entry_id is not null then 1 else 0 end) as is_under_way,
        max(
            case when identities.tells_arm = 0 then null when known.arm = 'holdout' then 1 else 0 end
        ) as was_held_out
    from identities
    inner join known on identities.identity = known.identity and identities.known_by = known.known_by
    left join {{ state }}.journey_state as journeys
        on known.entry_id = journeys.entry_id and journeys.exit_reason is null
    group by identities.lead_id
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
        earlier.was_held_out,
        row_number() over (
            order by one_per_person.crossed_cold_on desc, one_per_person.cold_score desc, one_per_person.lead_id asc
        ) as rank_in_cohort
    from one_per_person
    inner join households on one_per_person.lead_id = households.lead_id
    left join earlier on one_per_person.lead_id = earlier.lead_id
    where
        one_per_person.rank_in_person = 1
        and coalesce(earlier.is_under_way, 0) = 0
        and (earlier.last_cohort_date is null or earlier.last_cohort_date < $cohort_date)
        and (earlier.last_cohort_date is null or earlier.last_cohort_date <= $may_re_enter_on)
        -- each time it happens, not each day it is remembered
        and (
            earlier.last_cohort_date is null
            or $re_entry <> 'each_time'
            or one_per_person.happened_at > earlier.last_entered_at
            or (one_per_person.happened_at is null and one_per_person.crossed_cold_on > earlier.last_cohort_date)
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
