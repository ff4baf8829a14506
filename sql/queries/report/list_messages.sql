select
    channel,
    arm,
    status,
    count(*) as messages
from {{ state }}.messages
group by channel, arm, status
order by channel asc, arm asc, messages desc, status asc
