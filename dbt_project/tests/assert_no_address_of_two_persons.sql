{# Stops the run: a chain of shared addresses longer than the label propagation follows puts one person in two arms. #}
{{ config(tags=['daily_score']) }}

with

persons as (
    select * from {{ ref('int_leads_resolved_to_persons') }}
),

addresses as (
    select
        person_id,
        'email' as channel,
        email as address
    from persons
    where email is not null
    union all
    select
        person_id,
        'sms' as channel,
        phone as address
    from persons
    where phone is not null
)

select
    channel,
    min(person_id) as one_person_id,
    max(person_id) as other_person_id
from addresses
group by channel, address
having min(person_id) != max(person_id)
