delete from {{ state }}.incoming_events
where true
