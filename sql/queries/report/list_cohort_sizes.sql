-- The newest cohorts of a campaign and their sizes, the newest first.
select
    entries.cohort_date,
    count(*) as entries
from {{ state }}.journey_entries as entries
where entries.campaign_id = $campaign_id
group by entries.cohort_date
order by entries.cohort_date desc
limit 8
