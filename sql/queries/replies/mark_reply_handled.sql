-- A person has answered; who and when stay.
update {{ state }}.reply_queue
set
    handled_at = $now,
    handled_by = $handled_by
where event_key = $event_key and handled_at is null
