select
    stop_id,
    scope,
    name,
    mode,
    reason,
    set_by,
    set_at
from {{ state }}.stops
where lifted_at is null
order by set_at, stop_id
