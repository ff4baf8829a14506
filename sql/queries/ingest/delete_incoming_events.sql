delete from {{ state }}.incoming_events
