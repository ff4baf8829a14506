-- How many entered on each day the campaign ran, by the same time of day as now; also when nobody did.
select
    runs.ran_on,
    count(entries.entry_id) as entered
from (
    select distinct cast(as_of as date) as ran_on
    from {{ state }}.campaign_runs
    where activity = 'freeze_cohort' and campaign_id = $campaign_id and as_of >= $since
) as runs
left join {{ state }}.journey_entries as entries
    on
        runs.ran_on = entries.cohort_date
        and entries.campaign_id = $campaign_id
        and entries.entered_at <= {{ add_seconds("cast(runs.ran_on as " ~ timestamp ~ ")", "$seconds_of_day") }}
group by runs.ran_on
order by runs.ran_on
