-- The newest cohorts of a campaign and their sizes, the newest first.
select
    entered.cohort_date,
    count(*) as entries
from {{ state }}.journey_entries as entered
where entered.campaign_id = $campaign_id
group by entered.cohort_date
order by entered.cohort_date desc
limit 8
