delete from {{ state }}.incoming_preferences
