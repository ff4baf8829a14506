-- Finished work, once per activity, campaign and logical time.
insert into {{ state }}.campaign_runs (activity, campaign_id, as_of, run_id, counts)
select
    $activity as activity,
    $campaign_id as campaign_id,
    $as_of as as_of,
    $run_id as run_id,
    $counts as counts
from (select 1 as one) as this_run
where
    not exists (
        select 1
        from {{ state }}.campaign_runs as runs
        where runs.activity = $activity and runs.campaign_id = $campaign_id and runs.as_of = $as_of
    )
