with

source_tickets as (
    select * from {{ source('rekindle_raw', 'support_tickets') }}
),

-- A ticket is handed over again when it is closed or rated: the last arrival is the ticket.
last_arrivals as (
    select *
    from source_tickets
    where true
    qualify row_number() over (
        partition by ticket_id
        order by loaded_at desc nulls last, source_file desc nulls last, source_row desc nulls last
    ) = 1
),

renamed as (
    select
        -- ids
        ticket_id,
        user_id as lead_id,

        -- strings
        category,

        -- numerics
        satisfaction,

        -- timestamps
        opened_at,
        closed_at
    from last_arrivals
)

select * from renamed
