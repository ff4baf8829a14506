-- All that the attempt has under way was accepted in one request: no need to name each.
update {{ state }}.messages
set
    status = 'accepted',
    status_rank = 50,
    lease_expires_at = null,
    accepted_at = $now,
    settled_at = null,
    provider_message_id = $provider_message_id,
    error_code = null,
    error_class = null
where batch_id = $batch_id and attempt_id = $attempt_id and status = 'attempting'
