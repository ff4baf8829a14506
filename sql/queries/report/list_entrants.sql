-- Whom one run entered, by arm and segment.
select
    entered.arm,
    coalesce(entered.segment, 'none') as segment,
    count(*) as entries,
    avg(entered.cold_score) as cold_score
from {{ state }}.journey_entries as entered
where entered.campaign_id = $campaign_id and entered.run_id = $run_id
group by entered.arm, entered.segment
order by entered.arm desc, entries desc, segment asc
