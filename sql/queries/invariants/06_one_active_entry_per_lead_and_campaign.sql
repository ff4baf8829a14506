-- One active entry per lead and campaign, and one campaign at a time per person.
with active as (
    select
        person_id,
        count(*) as entry_count
    from {{ state }}.journey_state
    where exit_reason is null
    group by person_id
)

select
    coalesce(sum(case when entry_count > 1 then 1 else 0 end), 0) as violations,
    count(*) as checked,
    'people' as unit
from active
