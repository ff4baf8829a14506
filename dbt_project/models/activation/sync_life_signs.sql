with

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
    where event_kind in ('log_in', 'key_action')
),

-- Grouped and not numbered, so that the engines look for the leads and days asked for before they look for repeats.
life_signs as (
    select
        lead_id,
        event_id,
        event_type,
        event_kind as kind,
        occurred_at
    from arrivals
    group by lead_id, event_id, event_type, event_kind, occurred_at
)

select * from life_signs
