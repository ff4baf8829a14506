{# Stops the run: every entry up to as_of is in the marts, once: per campaign, and per campaign and cohort day. #}
{{ config(tags=['measure']) }}

with

frozen as (
    select
        campaign_id,
        count(*) as entered
    from {{ source('rekindle_state', 'journey_entries') }}
    where entered_at <= {{ as_of_timestamp() }}
    group by campaign_id
),

by_day as (
    select
        campaign_id,
        sum(entered) as entered
    from {{ ref('reactivation_by_cohort_day') }}
    group by campaign_id
),

by_campaign as (
    select * from {{ ref('reactivation_by_campaign') }}
)

select
    by_campaign.campaign_id,
    frozen.entered as frozen_entered,
    by_campaign.entered as campaign_entered,
    by_day.entered as days_entered
from by_campaign
left join frozen on by_campaign.campaign_id = frozen.campaign_id
left join by_day on by_campaign.campaign_id = by_day.campaign_id
where
    by_campaign.entered != coalesce(frozen.entered, 0)
    or by_campaign.entered != coalesce(by_day.entered, 0)
