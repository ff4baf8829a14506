{#
  Who can be reached where, with the hashes that state tables hold: made once a day, because every task of a tick asks for
  a few leads of it, and hashing everybody's addresses for each would cost more than the tick.
#}
with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

persons as (
    select * from {{ ref('int_leads_resolved_to_persons') }}
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

contacts as (
    select
        -- ids
        leads.lead_id,
        coalesce(persons.person_id, leads.lead_id) as person_id,

        -- strings
        leads.email,
        leads.phone,
        {{ sha256_hex('leads.email') }} as email_hash,
        {{ sha256_hex('lower(leads.phone)') }} as phone_hash,
        leads.first_name,
        leads.time_zone,
        leads.country,
        leads.state,
        leads.postal_code,
        leads.locale,
        leads.plan,

        -- booleans
        leads.is_made_up,

        -- dates
        cast(activity.last_key_action_at as date) as last_key_action_on,

        -- timestamps
        leads.loaded_at
    from leads
    left join persons on leads.lead_id = persons.lead_id
    left join activity on leads.lead_id = activity.lead_id
)

select * from contacts
