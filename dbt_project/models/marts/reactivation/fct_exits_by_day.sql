with

entries as (
    select * from {{ ref('fct_journey_entries') }}
),

exits as (
    select
        campaign_id,
        arm,
        cast(exited_at as date) as exited_on,
        exit_reason,
        count(*) as exits
    from entries
    where exit_reason is not null
    group by campaign_id, arm, cast(exited_at as date), exit_reason
)

select * from exits
