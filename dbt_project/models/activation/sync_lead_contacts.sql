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

sign_ups as (
    select
        opt_ins.*,
        row_number() over (
            partition by opt_ins.address_hash
            order by opt_ins.received_at desc nulls last, opt_ins.opt_in_id desc nulls last
        ) as newness
    from {{ ref('stg_raw__opt_ins') }} as opt_ins
    left join leads on lower(opt_ins.address) = leads.email
    where opt_ins.channel = 'email' and leads.lead_id is null
),

known as (
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
        leads.state,
        leads.postal_code,
        leads.locale,
        leads.plan,

        -- booleans
        leads.is_made_up,

        -- dates
        cast(activity.last_key_action_at as date) as last_key_action_on
    from leads
    left join persons on leads.lead_id = persons.lead_id
    left join activity on leads.lead_id = activity.lead_id
),

-- Who filled in a form and has no account (yet) is reached by the form alone.
without_account as (
    select
        -- ids
        'sign_up:' || address_hash as lead_id,
        'sign_up:' || address_hash as person_id,

        -- strings
        lower(address) as email,
        cast(null as {{ dbt.type_string() }}) as phone,
        address_hash as email_hash,
        cast(null as {{ dbt.type_string() }}) as phone_hash,
        first_name,
        time_zone,
        country,
        cast(null as {{ dbt.type_string() }}) as state,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        locale,
        cast(null as {{ dbt.type_string() }}) as plan,

        -- booleans
        false as is_made_up,

        -- dates
        cast(null as date) as last_key_action_on
    from sign_ups
    where newness = 1
),

contacts as (
    select * from known
    union all
    select * from without_account
)

select * from contacts
