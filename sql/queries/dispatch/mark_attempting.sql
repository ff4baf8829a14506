-- Committed before the first call: from here on the message may have been sent, whatever happens to this process.
update {{ state }}.messages as messages
set
    status = 'attempting',
    status_rank = 20,
    attempting_at = $now,
    body_hash = chunk.body_hash,
    segments = chunk.segments,
    provider = $provider
from {{ state }}.attempt_chunks as chunk
where
    messages.message_id = chunk.message_id
    and chunk.attempt_id = $attempt_id
    and messages.batch_id = $batch_id
    and messages.attempt_id = $attempt_id
    and messages.status = 'claimed'
    and messages.lease_expires_at > $now
    and messages.window_opens_at <= $now
    and messages.expires_at > $now
