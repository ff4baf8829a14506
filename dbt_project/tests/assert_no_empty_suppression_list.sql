{#
  Stops the day, before anybody is written to: a list of who may not be written to that is empty although somebody opted
  out, or although so many were written to that somebody must have, was emptied.
#}
{{ config(tags=['daily_score', 'measure']) }}

with

suppressed as (
    select count(*) as addresses
    from {{ source('rekindle_state', 'suppressions') }}
),

written_to as (
    select count(*) as messages
    from {{ source('rekindle_state', 'messages') }}
    where accepted_at < {{ as_of_timestamp() }}
),

opted_out as (
    select count(*) as events
    from {{ source('rekindle_state', 'message_events') }}
    where event_type in ('unsubscribed', 'complained')
)

select
    opted_out.events,
    written_to.messages
from suppressed
cross join written_to
cross join opted_out
where
    suppressed.addresses = 0
    and (opted_out.events > 0 or written_to.messages >= {{ var('rekindle__messages_without_an_opt_out') }})
