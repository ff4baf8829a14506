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
        -- A lead that arrived after the last scoring is its own person until the next one.
        coalesce(persons.person_id, leads.lead_id) as person_id,

        -- strings
        leads.email,
        leads.phone,
        {{ sha256_hex('leads.email') }} as email_hash,
        {{ sha256_hex('lower(leads.phone)') }} as phone_hash,
        leads.first_name,
        leads.time_zone,
        leads.country,
        leads.locale,
        leads.plan,

        -- booleans
        leads.is_made_up,

        -- dates
        cast(activity.last_key_action_at as date) as last_key_action_on
    from leads
    left join persons on leads.lead_id = persons.lead_id
    left join activity on leads.lead_id = activity.lead_id
)

select * from contacts
