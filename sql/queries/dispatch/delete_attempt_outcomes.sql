delete from {{ state }}.attempt_outcomes
where attempt_id = $attempt_id
