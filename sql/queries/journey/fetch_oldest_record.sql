-- Since when, by the clock of whoever writes, there is something on record of those who are still under way.
select min(transitions.recorded_at) as oldest_recorded_at
from {{ state }}.journey_transitions as transitions
where transitions.happened_at >= $oldest_entered_at
