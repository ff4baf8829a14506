{# Stops the run: a chain of shared addresses longer than the label propagation follows puts one person in two arms. #}
{{ config(tags=['daily_score']) }}

with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

persons as (
    select * from {{ ref('int_leads_resolved_to_persons') }}
),

addresses as (
    select
        lead_id,
        'email' as channel,
        email as address
    from leads
    where email is not null
    union all
    select
        lead_id,
        'sms' as channel,
        phone as address
    from leads
    where phone is not null
)

select
    addresses.channel,
    min(persons.person_id) as one_person_id,
    max(persons.person_id) as other_person_id
from addresses
inner join persons on addresses.lead_id = persons.lead_id
group by addresses.channel, addresses.address
having min(persons.person_id) != max(persons.person_id)
