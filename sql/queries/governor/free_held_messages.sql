-- Somebody mended what opened the account's breaker and closed it by hand: whom it held back is due at once. Nothing
-- else changes a decision, and only its due time, which is a promise and not something that happened.
update {{ state }}.decisions
set next_due_at = $now
where reason = 'breaker_open' and channel = $channel and next_due_at > $now
