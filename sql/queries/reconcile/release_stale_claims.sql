-- The lease ran out before anything was attempted: certainly not sent, so it may be planned again.
update {{ state }}.messages
set
    status = 'planned',
    status_rank = 0,
    attempt_id = null,
    claimed_at = null,
    lease_expires_at = null
where status = 'claimed' and lease_expires_at <= $now
