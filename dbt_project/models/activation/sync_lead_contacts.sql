{#
  `int_lead_contacts` is named anew wherever it is read: an engine that sees one common table read often keeps a copy of
  it, of everybody, and every task of a tick asks for a few leads only.
#}
with

arrivals as (
    select * from {{ ref('base_app__lead_arrivals') }}
),

-- one row, also while nobody is known
last_load as (
    select coalesce(max(loaded_at), cast('1970-01-01' as {{ dbt.type_timestamp() }})) as loaded_at
    from {{ ref('int_lead_contacts') }}
),

-- Handed over since the last scoring, some for the first time: a corrected address holds from the moment it is loaded.
newcomers as (
    select arrivals.*
    from arrivals
    cross join last_load
    where arrivals.loaded_at > last_load.loaded_at
    qualify row_number() over (
        partition by arrivals.lead_id
        order by
            arrivals.loaded_at desc nulls last, arrivals.source_file desc nulls last,
            arrivals.source_row desc nulls last
    ) = 1
),

sign_ups as (
    select
        opt_ins.*,
        row_number() over (
            partition by opt_ins.address_hash
            order by opt_ins.received_at desc nulls last, opt_ins.opt_in_id desc nulls last
        ) as newness
    from {{ ref('stg_raw__opt_ins') }} as opt_ins
    left join {{ ref('int_lead_contacts') }} as contacts on lower(opt_ins.address) = contacts.email
    left join newcomers on lower(opt_ins.address) = newcomers.email
    where opt_ins.channel = 'email' and contacts.lead_id is null and newcomers.lead_id is null
),

unchanged as (
    select
        -- ids
        contacts.lead_id,
        contacts.person_id,

        -- strings
        contacts.email,
        contacts.phone,
        contacts.email_hash,
        contacts.phone_hash,
        contacts.first_name,
        contacts.time_zone,
        contacts.country,
        contacts.state,
        contacts.postal_code,
        contacts.locale,
        contacts.plan,

        -- booleans
        contacts.is_made_up,

        -- dates
        contacts.last_key_action_on
    from {{ ref('int_lead_contacts') }} as contacts
    left join newcomers on contacts.lead_id = newcomers.lead_id
    where newcomers.lead_id is null
),

changed as (
    select
        -- ids
        newcomers.lead_id,
        -- A lead that arrived after the last scoring is its own person until the next one.
        coalesce(contacts.person_id, newcomers.lead_id) as person_id,

        -- strings
        newcomers.email,
        newcomers.phone,
        {{ sha256_hex('newcomers.email') }} as email_hash,
        {{ sha256_hex('lower(newcomers.phone)') }} as phone_hash,
        newcomers.first_name,
        newcomers.time_zone,
        newcomers.country,
        newcomers.state,
        newcomers.postal_code,
        newcomers.locale,
        newcomers.plan,

        -- booleans
        newcomers.is_made_up,

        -- dates
        contacts.last_key_action_on
    from newcomers
    left join {{ ref('int_lead_contacts') }} as contacts on newcomers.lead_id = contacts.lead_id
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

everybody as (
    select * from unchanged
    union all
    select * from changed
    union all
    select * from without_account
)

select * from everybody
