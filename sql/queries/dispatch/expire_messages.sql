-- A message past its time is never sent.
update {{ state }}.messages
set
    status = 'expired',
    status_rank = 90,
    settled_at = $now,
    error_code = 'expired'
where batch_id = $batch_id and status = 'planned' and expires_at <= $now
