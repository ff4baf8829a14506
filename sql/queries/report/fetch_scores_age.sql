-- The instant of the scores that a cohort would be frozen from; null when nobody is cold.
select max(cold_leads.scored_as_of) as scored_as_of
from {{ activation }}.sync_cold_leads as cold_leads
