{{ check_mapping('support_tickets', source('company_support', 'support_tickets')) }}

with

source_tickets as (
    select * from {{ source('company_support', 'support_tickets') }}
),

named as (
    select
        {{ mapped('support_tickets', 'ticket_id', dbt.type_string()) }} as ticket_id,
        {{ mapped('support_tickets', 'user_id', dbt.type_string()) }} as lead_id,
        {{ mapped('support_tickets', 'category', dbt.type_string()) }} as category,
        {{ mapped('support_tickets', 'source_file', dbt.type_string()) }} as source_file,
        {{ mapped('support_tickets', 'satisfaction', 'bigint') }} as satisfaction,
        {{ mapped('support_tickets', 'source_row', 'bigint') }} as source_row,
        {{ mapped('support_tickets', 'opened_at', dbt.type_timestamp()) }} as opened_at,
        {{ mapped('support_tickets', 'closed_at', dbt.type_timestamp()) }} as closed_at,
        {{ mapped('support_tickets', 'loaded_at', dbt.type_timestamp()) }} as loaded_at
    from source_tickets
),

-- A ticket is handed over again when it is closed or rated: the last arrival is the ticket.
last_arrivals as (
    select
        -- ids
        ticket_id,
        lead_id,

        -- strings
        category,

        -- numerics
        satisfaction,

        -- timestamps
        opened_at,
        closed_at
    from named
    where true
    qualify row_number() over (
        partition by ticket_id
        order by loaded_at desc nulls last, source_file desc nulls last, source_row desc nulls last
    ) = 1
)

select * from last_arrivals
