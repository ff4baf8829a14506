with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

consents as (
    select * from {{ ref('stg_state__consents') }}
    where action = 'granted' and source != 'users' and lead_id is not null
),

beginnings as (
    select
        lead_id,
        signed_up_at as happened_at
    from leads
    where signed_up_at is not null
    union all
    select
        lead_id,
        occurred_at as happened_at
    from consents
),

-- Whoever signed up years ago and agrees to be written to today is new today.
candidates as (
    select
        lead_id,
        max(happened_at) as happened_at
    from beginnings
    group by lead_id
),

{{ offered_by_rule('new_leads', hourly=true) }}

select * from offered
