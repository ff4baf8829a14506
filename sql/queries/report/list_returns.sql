-- Days until the first sign of life, for every entry whose 30 days are over; null for who did not come back in time.
select
    entered.arm,
    case
        when entered.is_reactivated_30d
            then {{ days_between("entered.entered_at", "entered.first_life_sign_at") }}
    end as days_until_return,
    count(*) as entries
from {{ marts }}.fct_journey_entries as entered
where entered.is_matured_30d
group by
    entered.arm,
    case
        when entered.is_reactivated_30d
            then {{ days_between("entered.entered_at", "entered.first_life_sign_at") }}
    end
order by entered.arm asc, days_until_return asc nulls last
