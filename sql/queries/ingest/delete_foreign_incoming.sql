-- What was kept apart is not ours to apply; told of a message that has become ours, it is.
delete from {{ state }}.incoming_events
where
    event_key in (select kept.event_key from {{ state }}.foreign_events as kept)
    and not exists (
        select 1
        from {{ state }}.messages as messages
        where messages.message_id = incoming_events.message_id
    )
