delete from {{ state }}.attempt_chunks
where attempt_id = $attempt_id
