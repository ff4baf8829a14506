select
    channel,
    reason,
    count(*) as decisions
from {{ state }}.decisions
group by channel, reason
order by decisions desc, channel asc, reason asc
