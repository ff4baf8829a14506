-- A batch holds messages of one version; null when they were planned before versions were kept.
select max(messages.journey_version) as journey_version
from {{ state }}.messages as messages
where messages.batch_id = $batch_id
