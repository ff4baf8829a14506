with

source_webhook_elements as (
    select * from {{ source('rekindle_raw', 'webhook_elements') }}
),

renamed as (
    select
        landing_file,
        line_number,
        element_number,
        stream,
        received_at,
        event_key,
        payload
    from source_webhook_elements
)

select * from renamed
