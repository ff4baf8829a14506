{# Not looked through for repeats: who asks for a few leads and days is answered without reading the whole log. #}
with

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
    where event_kind in ('log_in', 'key_action')
),

life_signs as (
    select
        lead_id,
        event_id,
        event_type,
        event_kind as kind,
        occurred_at
    from arrivals
)

select * from life_signs
