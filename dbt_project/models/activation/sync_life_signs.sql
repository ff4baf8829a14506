with

events as (
    select * from {{ ref('stg_app__events') }}
),

life_signs as (
    select
        lead_id,
        event_id,
        event_type,
        event_kind as kind,
        occurred_at
    from events
    where event_kind in ('log_in', 'key_action')
)

select * from life_signs
