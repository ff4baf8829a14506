-- The coldest of whom one run entered, with the points of each signal.
select
    entries.lead_id,
    entries.arm,
    entries.segment,
    entries.cold_score,
    entries.score_contributions
from {{ state }}.journey_entries as entries
where entries.campaign_id = $campaign_id and entries.run_id = $run_id
order by entries.cold_score desc, entries.lead_id asc
limit 5
