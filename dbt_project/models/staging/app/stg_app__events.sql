with

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
),

-- A file or a webhook that arrives twice brings the same event_id: the first arrival is the event.
first_arrivals as (
    select
        -- ids
        event_id,
        lead_id,

        -- strings
        event_type,
        event_kind,

        -- booleans
        is_purchase,
        is_made_up,

        -- timestamps
        occurred_at,
        loaded_at
    from arrivals
    where true
    qualify row_number() over (
        partition by event_id
        order by loaded_at asc nulls last, source_file asc nulls last, source_row asc nulls last
    ) = 1
)

select * from first_arrivals
