with

source_opt_ins as (
    select * from {{ source('rekindle_raw', 'opt_ins') }}
),

renamed as (
    select
        opt_in_id,
        channel,
        user_id,
        address,
        address_hash,
        first_name,
        time_zone,
        country,
        locale,
        is_double_opt_in,
        consented_at,
        received_at
    from source_opt_ins
)

select * from renamed
