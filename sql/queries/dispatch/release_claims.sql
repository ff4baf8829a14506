-- Claimed, certainly not sent, and this attempt will not send it.
update {{ state }}.messages
set
    status = 'planned',
    status_rank = 0,
    attempt_id = null,
    claimed_at = null,
    lease_expires_at = null
where batch_id = $batch_id and attempt_id = $attempt_id and status = 'claimed'
