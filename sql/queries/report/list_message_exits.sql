select
    messages.message_id,
    min(transitions.recorded_at) as recorded_at
from {{ state }}.messages as messages
inner join {{ state }}.journey_transitions as transitions on messages.entry_id = transitions.entry_id
where transitions.exit_reason is not null
group by messages.message_id
order by messages.message_id
