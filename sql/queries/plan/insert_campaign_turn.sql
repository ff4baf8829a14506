insert into {{ state }}.campaign_turns (campaign_id, as_of, priority, run_id)
with known as (
    select count(*) as turns
    from {{ state }}.campaign_turns
    where campaign_id = $campaign_id and as_of = $as_of
)

select
    $campaign_id as campaign_id,
    $as_of as as_of,
    $priority_rank as priority,
    $run_id as run_id
from known
where known.turns = 0
