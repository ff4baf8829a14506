select
    channel,
    status,
    count(*) as messages
from {{ state }}.messages
group by channel, status
order by channel, status
