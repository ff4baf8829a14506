-- The instant of the newest rows that a cohort would be frozen from; null when there are none.
select max(entering.scored_as_of) as scored_as_of
from {{ activation }}.{{ activation_model | default("sync_cold_leads") }} as entering
