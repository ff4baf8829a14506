-- Whom one run entered, by arm and segment.
select
    entries.arm,
    coalesce(entries.segment, 'none') as segment,
    count(*) as entries,
    avg(entries.cold_score) as cold_score
from {{ state }}.journey_entries as entries
where entries.campaign_id = $campaign_id and entries.run_id = $run_id
group by entries.arm, entries.segment
order by entries.arm desc, entries desc, segment asc
