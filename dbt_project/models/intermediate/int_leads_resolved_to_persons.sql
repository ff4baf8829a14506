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

round_0 as (
    select
        lead_id,
        lead_id as person_id,
        email,
        phone,
        coalesce('email:' || email, 'lead:' || lead_id) as email_group,
        coalesce('phone:' || phone, 'lead:' || lead_id) as phone_group
    from leads
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
)

select * from resolved
