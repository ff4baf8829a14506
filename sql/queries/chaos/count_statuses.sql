-- How many messages stand in each status: two of these tell what a transaction is about to do.
select
    status,
    count(*) as message_count
from {{ state }}.messages
group by status
