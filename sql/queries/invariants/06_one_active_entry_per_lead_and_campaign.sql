-- One active entry per person and campaign, and one campaign a day that writes to a person.
with active as (
    select
        person_id,
        campaign_id,
        count(*) as entry_count
    from {{ state }}.journey_state
    where exit_reason is null
    group by person_id, campaign_id
),

-- By the day of the tick that planned it: a day is the campaigns' day, not the provider's minute.
written as (
    select
        journeys.person_id,
        cast(messages.planned_at as date) as planned_on,
        count(distinct messages.campaign_id) as campaign_count
    from {{ state }}.messages as messages
    inner join {{ state }}.journey_state as journeys on messages.entry_id = journeys.entry_id
    where messages.attempting_at is not null and messages.status <> 'failed'
    group by journeys.person_id, cast(messages.planned_at as date)
)

select
    (
        select coalesce(sum(case when entry_count > 1 then 1 else 0 end), 0)
        from active
    ) + (
        select coalesce(sum(case when campaign_count > 1 then 1 else 0 end), 0)
        from written
    ) as violations,
    (select count(*) from active) as checked,
    'people' as unit
