-- Days until the first sign of life, for every entry whose attribution window is over; null when it came late or never.
select
    entered.arm,
    entered.attribution_window_days as window_days,
    case
        when entered.is_reactivated_in_window
            then {{ days_between("entered.entered_at", "entered.first_life_sign_at") }}
    end as days_until_return,
    count(*) as entries
from {{ marts }}.fct_journey_entries as entered
where entered.is_matured_in_window
group by
    entered.arm,
    entered.attribution_window_days,
    case
        when entered.is_reactivated_in_window
            then {{ days_between("entered.entered_at", "entered.first_life_sign_at") }}
    end
order by entered.arm asc, entered.attribution_window_days asc, days_until_return asc nulls last
