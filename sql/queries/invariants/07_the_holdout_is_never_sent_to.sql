-- A holdout entry goes through the identical pipeline and is never sent to; one person is in one arm.
with held_out_sends as (
    select count(*) as violations
    from {{ state }}.messages
    where
        arm = 'holdout'
        and (attempting_at is not null or provider_message_id is not null or status not in ('withheld', 'expired'))
),

arms as (
    select
        campaign_id,
        person_id as identity
    from {{ state }}.journey_entries
    group by campaign_id, person_id
    having count(distinct arm) > 1
    union all
    select
        campaign_id,
        email_hash as identity
    from {{ state }}.journey_entries
    where email_hash is not null
    group by campaign_id, email_hash
    having count(distinct arm) > 1
    union all
    select
        campaign_id,
        phone_hash as identity
    from {{ state }}.journey_entries
    where phone_hash is not null
    group by campaign_id, phone_hash
    having count(distinct arm) > 1
)

select
    (select violations from held_out_sends) + (select count(*) from arms) as violations,
    (
        select count(*) from {{ state }}.journey_entries
        where arm = 'holdout'
    ) as checked,
    'holdout entries' as unit
