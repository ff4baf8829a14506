-- The provider's own list holds this very body for this very number: it was accepted.
update {{ state }}.messages
set
    status = 'accepted',
    status_rank = 50,
    accepted_at = coalesce(attempting_at, $now),
    provider_message_id = $provider_message_id
where message_id = $message_id and status = 'unknown'
