select messages.message_id
from {{ state }}.messages as messages
inner join {{ state }}.attempt_chunks as chunk
    on messages.message_id = chunk.message_id and messages.attempt_id = chunk.attempt_id
where messages.batch_id = $batch_id and messages.attempt_id = $attempt_id and messages.status = 'attempting'
