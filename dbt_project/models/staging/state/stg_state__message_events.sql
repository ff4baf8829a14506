with

source_message_events as (
    select * from {{ source('rekindle_state', 'message_events') }}
),

renamed as (
    select
        event_key,
        message_id,
        provider,
        event_type,
        provider_event,
        occurred_at,
        received_at,
        provider_message_id,
        error_code,
        address_hash,
        is_human,
        detail,
        landing_file,
        recorded_at
    from source_message_events
)

select * from renamed
