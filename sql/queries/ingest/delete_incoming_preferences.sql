delete from {{ state }}.incoming_preferences
where true
