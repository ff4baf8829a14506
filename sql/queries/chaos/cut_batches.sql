-- Many small batches instead of few large ones, so that many attempts can die.
update {{ state }}.messages as messages
set batch_id = numbered.batch_id || '/' || cast(numbered.part as {{ text }})
from (
    select
        message_id,
        batch_id,
        cast(floor((row_number() over (partition by batch_id order by message_id) - 1) / $batch_size) as {{ bigint }})
            as part
    from {{ state }}.messages
    where status = 'planned' and planned_at = $planned_at
) as numbered
where messages.message_id = numbered.message_id
