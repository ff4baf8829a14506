-- The worker died between the commit and the record: it may have been sent, so it is never sent again.
update {{ state }}.messages
set
    status = 'unknown',
    status_rank = 30,
    lease_expires_at = null
where status = 'attempting' and lease_expires_at <= $now
