-- What the provider answered, under the fence of the attempt. An unknown that turns out accepted is repaired; nothing
-- else moves back but a refusal the provider proved.
update {{ state }}.messages as messages
set
    status = outcomes.status,
    status_rank = outcomes.status_rank,
    attempt_id = case when outcomes.status = 'planned' then null else messages.attempt_id end,
    lease_expires_at = null,
    accepted_at = case when outcomes.status = 'accepted' then $now end,
    settled_at = case when outcomes.status = 'failed' then $now end,
    provider_message_id = outcomes.provider_message_id,
    error_code = outcomes.error_code,
    error_class = outcomes.error_class
from {{ state }}.attempt_outcomes as outcomes
where
    messages.message_id = outcomes.message_id
    and outcomes.attempt_id = $attempt_id
    and messages.batch_id = $batch_id
    and messages.attempt_id = $attempt_id
    and (messages.status = 'attempting' or (messages.status = 'unknown' and outcomes.status = 'accepted'))
