-- What waits for a person, oldest first, with the words: for the eyes of whoever answers, never for a log.
with elements as (
    select
        arrived.event_key,
        min(arrived.payload) as payload
    from {{ raw }}.webhook_elements as arrived
    where arrived.stream = 'twilio_inbound'
    group by arrived.event_key
)

select
    queue.event_key,
    queue.lead_id,
    queue.campaign_id,
    queue.replied_at,
    elements.payload
from {{ state }}.reply_queue as queue
left join elements on queue.event_key = elements.event_key
where queue.handled_at is null
order by queue.replied_at asc, queue.event_key asc
