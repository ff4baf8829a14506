delete from {{ state }}.send_windows
where campaign_id = $campaign_id and channel = $channel and as_of = $as_of
