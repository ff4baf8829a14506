{#
  Bounded label propagation: every lead starts as its own person and takes, in each round, the smallest label of those
  it shares an e-mail address with, then of those it shares a number with. Three rounds follow six links, more than
  chains of shared addresses have in practice; assert_no_address_of_two_persons stops the run if one is longer.
  A lead without an address (number) is alone in its group of addresses (numbers).
#}
{% set rounds = 3 %}

with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

shared_emails as (
    select email
    from leads
    where email is not null
    group by email
    having count(*) > 1
),

shared_phones as (
    select phone
    from leads
    where phone is not null
    group by phone
    having count(*) > 1
),

-- Nearly everybody shares nothing and is spared the rounds.
sharing as (
    select
        leads.lead_id,
        leads.email,
        leads.phone,
        shared_emails.email is not null or shared_phones.phone is not null as is_sharing
    from leads
    left join shared_emails on leads.email = shared_emails.email
    left join shared_phones on leads.phone = shared_phones.phone
),

round_0 as (
    select
        lead_id,
        lead_id as person_id,
        email,
        phone,
        coalesce('email:' || email, 'lead:' || lead_id) as email_group,
        coalesce('phone:' || phone, 'lead:' || lead_id) as phone_group
    from sharing
    where is_sharing
),

{% for round in range(1, rounds + 1) %}
email_round_{{ round }} as (
    select
        lead_id,
        email,
        phone,
        email_group,
        phone_group,
        min(person_id) over (partition by email_group) as person_id
    from round_{{ round - 1 }}
),

round_{{ round }} as (
    select
        lead_id,
        email,
        phone,
        email_group,
        phone_group,
        min(person_id) over (partition by phone_group) as person_id
    from email_round_{{ round }}
),

{% endfor %}
resolved as (
    select
        lead_id,
        person_id,
        email,
        phone
    from round_{{ rounds }}
    union all
    select
        lead_id,
        lead_id as person_id,
        email,
        phone
    from sharing
    where not is_sharing
)

select * from resolved
