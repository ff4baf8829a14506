-- Entered = active + exited, per campaign and day; each webhook answered 2xx is in the raw table or the dead letters.
with cohorts as (
    select
        entries.campaign_id,
        entries.cohort_date,
        count(distinct entries.entry_id) as entered,
        sum(case when journeys.exit_reason is null and journeys.entry_id is not null then 1 else 0 end)
        + sum(case when journeys.exit_reason is not null then 1 else 0 end) as accounted_for
    from {{ state }}.journey_entries as entries
    left join {{ state }}.journey_state as journeys on entries.entry_id = journeys.entry_id
    group by entries.campaign_id, entries.cohort_date
),

raw_elements as (
    select
        landing_file,
        count(*) as row_count
    from (
        select landing_file
        from {{ raw }}.webhook_elements
        union all
        select landing_file
        from {{ raw }}.dead_letters
    ) as arrived
    group by landing_file
),

files as (
    select
        manifest.landing_file,
        manifest.element_count,
        coalesce(raw_elements.row_count, 0) as row_count
    from {{ raw }}.landing_files as manifest
    left join raw_elements on manifest.landing_file = raw_elements.landing_file
    where manifest.stream not like 'inbox/%'
)

select
    (
        select count(*) from cohorts
        where entered <> accounted_for
    )
    + (
        select count(*) from files
        where element_count <> row_count
    ) as violations,
    (select count(*) from cohorts) + (select count(*) from files) as checked,
    'cohorts and landing files' as unit
