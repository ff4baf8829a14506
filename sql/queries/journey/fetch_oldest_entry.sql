-- How many are still under way; of those who entered since then, how many they are and when the first of them entered.
select
    count(*) as under_way,
    count(entries.entry_id) as entered_since,
    min(entries.entered_at) as oldest_entered_at
from {{ state }}.journey_state as journeys
left join {{ state }}.journey_entries as entries
    on journeys.entry_id = entries.entry_id and entries.entered_at >= $since
where journeys.exit_reason is null
