{#
  Stops the day, before anybody is written to: an unsubscribe or a spam report that reached us and suppresses nothing
  would be written to again; an emptied suppression list is all of them.
#}
{{ config(tags=['daily_score', 'measure']) }}

select
    message_events.event_key,
    message_events.event_type
from {{ source('rekindle_state', 'message_events') }} as message_events
left join {{ source('rekindle_state', 'messages') }} as messages on message_events.message_id = messages.message_id
left join {{ source('rekindle_state', 'suppressions') }} as suppressions
    on coalesce(message_events.address_hash, messages.address_hash) = suppressions.address_hash
where
    message_events.event_type in ('unsubscribed', 'complained')
    and coalesce(message_events.address_hash, messages.address_hash) is not null
    and suppressions.address_hash is null
