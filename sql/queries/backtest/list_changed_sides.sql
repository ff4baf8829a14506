-- Who is on another side of the line than before: one row per lead judged by both rules.
select
    coalesce(after_scores.lead_id, before_scores.lead_id) as lead_id,
    coalesce(after_scores.segment, before_scores.segment) as segment,
    coalesce(before_scores.is_cold, false) as was_cold,
    coalesce(after_scores.is_cold, false) as is_cold,
    before_scores.cold_score as score_before,
    after_scores.cold_score as score_after
from {{ marts }}.fct_cold_scores as after_scores
full outer join {{ marts }}.scores_before as before_scores on after_scores.lead_id = before_scores.lead_id
order by lead_id
