with

source_events as (
    select * from {{ source('rekindle_raw', 'events') }}
),

-- A file or a webhook that arrives twice brings the same event_id: the first arrival is the event.
first_arrivals as (
    select *
    from source_events
    where true
    qualify row_number() over (
        partition by event_id
        order by loaded_at asc nulls last, source_file asc nulls last, source_row asc nulls last
    ) = 1
),

renamed as (
    select
        -- ids
        event_id,
        user_id as lead_id,

        -- strings
        event_type,
        {{ event_kind('event_type') }} as event_kind,

        -- booleans
        lower(trim(event_type)) in ({{ event_types('rekindle__purchase_events') }}) as is_purchase,
        is_made_up,

        -- timestamps
        occurred_at,
        loaded_at
    from first_arrivals
)

select * from renamed
