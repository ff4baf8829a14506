with

arrivals as (
    select * from {{ ref('base_app__lead_arrivals') }}
),

-- A lead may be handed over again with newer details: the last arrival is the lead. Nearly nobody is, and putting
-- everybody's arrivals in order costs more than finding out who is.
repeated as (
    select lead_id
    from arrivals
    group by lead_id
    having count(*) > 1
),

last_arrivals as (
    select arrivals.*
    from arrivals
    left join repeated on arrivals.lead_id = repeated.lead_id
    where repeated.lead_id is null
    union all
    select arrivals.*
    from arrivals
    inner join repeated on arrivals.lead_id = repeated.lead_id
    where true
    qualify row_number() over (
        partition by arrivals.lead_id
        order by
            arrivals.loaded_at desc nulls last, arrivals.source_file desc nulls last,
            arrivals.source_row desc nulls last
    ) = 1
),

leads as (
    select
        lead_id,
        email,
        phone,
        first_name,
        time_zone,
        country,
        state,
        postal_code,
        locale,
        plan,
        is_made_up,
        renewal_on,
        birthday,
        email_consented_at,
        signed_up_at,
        loaded_at
    from last_arrivals
)

select * from leads
