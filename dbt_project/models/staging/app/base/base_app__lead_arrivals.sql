{#
  Named and read, and nothing else: a lead that was handed over twice is two rows here. What looks for the few that
  came since an instant reads this, because looking for repeats costs everybody.
#}
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
        source_file,

        -- numerics
        source_row,

        -- booleans
        is_made_up,

        -- dates
        {{ dbt.safe_cast(json_text('properties', ['renewal_on']), 'date') }} as renewal_on,
        {{ dbt.safe_cast(json_text('properties', ['birthday']), 'date') }} as birthday,

        -- timestamps
        email_consented_at,
        signed_up_at,
        loaded_at
    from named
)

select * from renamed
