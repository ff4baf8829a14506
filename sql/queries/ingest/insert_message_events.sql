{% from "macros/arrivals.jinja" import insert_new_events with context -%}
-- Provider truth, once per natural key, however often and in whatever order it came.
{{ insert_new_events("message_events") }}
