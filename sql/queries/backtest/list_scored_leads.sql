-- Everybody who was known at that time, as cold as the models found them, and whether they came back until the other.
with

seen as (
    select
        lead_id,
        count(distinct case when occurred_at < $as_of then event_id end) as event_count,
        count(
            case
                when
                    occurred_at >= $as_of and occurred_at < $until
                    and (event_kind in ('log_in', 'key_action') or $any_activity)
                    then 1
            end
        ) as return_count
    from rekindle_staging.base_app__event_arrivals
    where event_kind in ('log_in', 'key_action', 'seen')
    group by lead_id
)

select
    scores.lead_id,
    scores.cold_score,
    scores.last_seen_age_days as days_silent,
    coalesce(seen.event_count, 0) as event_count,
    coalesce(seen.return_count, 0) > 0 as came_back
from rekindle_intermediate.int_leads_scored as scores
left join seen on scores.lead_id = seen.lead_id
order by scores.lead_id
