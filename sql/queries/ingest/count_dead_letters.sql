select
    stream,
    reason,
    count(*) as letters,
    max(received_at) as latest
from {{ raw }}.dead_letters
group by stream, reason
order by letters desc, stream asc, reason asc
