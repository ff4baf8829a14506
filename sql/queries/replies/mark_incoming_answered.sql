-- It answers our question: nothing stops, and nobody needs to read it.
update {{ state }}.incoming_events
set
    event_type = 'other',
    detail = $detail
where event_key = $event_key
