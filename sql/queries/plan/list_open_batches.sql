-- Batches that still hold something to send: this run's, and what earlier runs were refused for now.
select
    batch_id,
    count(*) as message_count
from {{ state }}.messages
where campaign_id = $campaign_id and channel = $channel and status = 'planned'
group by batch_id
order by batch_id
