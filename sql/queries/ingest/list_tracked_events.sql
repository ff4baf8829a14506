select event_id
from {{ raw }}.events
where source_file = $landing_file
