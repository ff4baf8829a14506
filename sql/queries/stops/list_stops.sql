-- What is stopped now, then what was lifted last.
select
    stop_id,
    scope,
    name,
    mode,
    reason,
    set_by,
    set_at,
    lifted_at,
    lifted_by
from {{ state }}.stops
order by case when lifted_at is null then 0 else 1 end asc, set_at desc, stop_id asc
