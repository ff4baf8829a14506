with

source_users as (
    select * from {{ source('rekindle_raw', 'users') }}
),

-- A lead may be handed over again with newer details: the last arrival is the lead.
last_arrivals as (
    select *
    from source_users
    where true
    qualify row_number() over (
        partition by user_id
        order by loaded_at desc nulls last, source_file desc nulls last, source_row desc nulls last
    ) = 1
),

renamed as (
    select
        -- ids
        user_id as lead_id,

        -- strings
        nullif(lower(trim(email)), '') as email,
        nullif(trim(phone), '') as phone,
        first_name,
        time_zone,
        country,
        locale,
        plan,

        -- booleans
        is_made_up,

        -- timestamps
        signed_up_at,
        loaded_at
    from last_arrivals
)

select * from renamed
