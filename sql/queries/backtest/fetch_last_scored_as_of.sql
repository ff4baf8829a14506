select max(scored_as_of) as scored_as_of
from {{ marts }}.fct_cold_scores
