-- A GET never unsubscribes or opts in: every opt-out by link came as a POST, by one click or by the page's button.
select
    coalesce(sum(case when detail in ('one_click', 'page') then 0 else 1 end), 0) as violations,
    count(*) as checked,
    'opt-outs by link' as unit
from {{ state }}.message_events
where provider = 'rekindle' and event_type = 'unsubscribed'
