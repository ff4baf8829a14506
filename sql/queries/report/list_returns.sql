-- Days until the first sign of life, for every entry whose 30 days are over; null for who did not come back in time.
select
    entries.arm,
    case
        when entries.is_reactivated_30d
            then date_diff('second', entries.entered_at, entries.first_life_sign_at) / 86400.0
    end as days_until_return,
    count(*) as entries
from {{ marts }}.fct_journey_entries as entries
where entries.is_matured_30d
group by
    entries.arm,
    case
        when entries.is_reactivated_30d
            then date_diff('second', entries.entered_at, entries.first_life_sign_at) / 86400.0
    end
order by entries.arm asc, days_until_return asc nulls last
