{# Stops the run: a holdout that was written to, by whatever arm the message claims, ruins the comparison. #}
{{ config(tags=['measure']) }}

select
    messages.message_id,
    messages.status
from {{ source('rekindle_state', 'messages') }} as messages
left join {{ source('rekindle_state', 'journey_entries') }} as entries on messages.entry_id = entries.entry_id
where
    (messages.arm = 'holdout' or entries.arm = 'holdout')
    and (
        messages.status not in ('planned', 'claimed', 'withheld', 'expired')
        or messages.attempting_at is not null
        or messages.accepted_at is not null
        or messages.provider_message_id is not null
    )
