-- When whoever is still under way entered first: nothing that happened before ends anybody.
select min(entries.entered_at) as oldest_entered_at
from {{ state }}.journey_state as journeys
inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
where journeys.exit_reason is null
