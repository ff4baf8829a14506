-- Batches that still hold something to send: this run's, and what earlier runs were refused for now.
select
    channel,
    batch_id,
    count(*) as message_count
from {{ state }}.messages
where campaign_id = $campaign_id and status = 'planned'
group by channel, batch_id
order by channel, batch_id
