select messages.message_id
from {{ state }}.messages as messages
where messages.batch_id = $batch_id and messages.attempt_id = $attempt_id and messages.status = 'claimed'
