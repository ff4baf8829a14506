delete from {{ state }}.due_entries
where campaign_id = $campaign_id
