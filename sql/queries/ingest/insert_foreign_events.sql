{% from "macros/arrivals.jinja" import insert_new_events with context -%}
{% set about_nothing_of_ours -%}
incoming.event_type in ('accepted', 'sent', 'delivered', 'deferred', 'blocked', 'opened', 'clicked', 'other')
        and incoming.provider_event <> 'inbound'
        and not exists (
            select 1
            from {{ state }}.messages as messages
            where messages.message_id = incoming.message_id
        )
{%- endset -%}
-- Told about a message that is not ours, and about no address of anybody's: once per natural key, apart from what moves
-- anything. A stop, a dead mailbox or a reply counts whoever wrote the message it answers.
{{ insert_new_events("foreign_events", only=about_nothing_of_ours) }}
