update {{ state }}.reply_queue
set told_at = $now
where event_key = $event_key and told_at is null
