{{ check_mapping('users', source('company_leads', 'users')) }}

with

source_users as (
    select * from {{ source('company_leads', 'users') }}
),

named as (
    select
        {{ mapped('users', 'user_id', dbt.type_string()) }} as lead_id,
        {{ mapped('users', 'email', dbt.type_string()) }} as email,
        {{ mapped('users', 'phone', dbt.type_string()) }} as phone,
        {{ mapped('users', 'first_name', dbt.type_string()) }} as first_name,
        {{ mapped('users', 'time_zone', dbt.type_string()) }} as time_zone,
        {{ mapped('users', 'country', dbt.type_string()) }} as country,
        {{ mapped('users', 'locale', dbt.type_string()) }} as locale,
        {{ mapped('users', 'plan', dbt.type_string()) }} as plan,
        {{ mapped('users', 'properties', dbt.type_string()) }} as properties,
        {{ mapped('users', 'source_file', dbt.type_string()) }} as source_file,
        {{ mapped('users', 'source_row', 'bigint') }} as source_row,
        {{ mapped('users', 'is_made_up', 'boolean') }} as is_made_up,
        {{ mapped('users', 'email_consented_at', dbt.type_timestamp()) }} as email_consented_at,
        {{ mapped('users', 'signed_up_at', dbt.type_timestamp()) }} as signed_up_at,
        {{ mapped('users', 'loaded_at', dbt.type_timestamp()) }} as loaded_at
    from source_users
),

-- A lead may be handed over again with newer details: the last arrival is the lead.
last_arrivals as (
    select *
    from named
    where true
    qualify row_number() over (
        partition by lead_id
        order by loaded_at desc nulls last, source_file desc nulls last, source_row desc nulls last
    ) = 1
),

renamed as (
    select
        -- ids
        lead_id,

        -- strings
        nullif(lower(trim(email)), '') as email,
        nullif(trim(phone), '') as phone,
        first_name,
        time_zone,
        country,
        coalesce({{ json_text('properties', ['state']) }}, {{ json_text('properties', ['region']) }}) as state,
        coalesce({{ json_text('properties', ['postal_code']) }}, {{ json_text('properties', ['zip']) }})
            as postal_code,
        locale,
        plan,

        -- booleans
        is_made_up,

        -- dates
        {{ dbt.safe_cast(json_text('properties', ['renewal_on']), 'date') }} as renewal_on,
        {{ dbt.safe_cast(json_text('properties', ['birthday']), 'date') }} as birthday,

        -- timestamps
        email_consented_at,
        signed_up_at,
        loaded_at
    from last_arrivals
)

select * from renamed
