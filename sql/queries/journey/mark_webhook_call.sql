-- What came of one attempt. Nothing is taken back: another attempt may have told meanwhile.
update {{ state }}.webhook_calls
set
    status = $status,
    attempts = $attempts,
    next_attempt_at = $next_attempt_at,
    error = $error,
    told_at = $told_at
where call_id = $call_id and status = 'waiting'
