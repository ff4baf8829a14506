{% from "macros/people.jinja" import holding_back with context -%}
-- One attempt takes what is left of the batch. Whoever reads back its own attempt id holds the row; nobody else can.
update {{ state }}.messages
set
    status = 'claimed',
    status_rank = 10,
    attempt_id = $attempt_id,
    claimed_at = $now,
    lease_expires_at = $lease_expires_at,
    -- what an earlier attempt was refused for
    error_code = null,
    error_class = null
where
    batch_id = $batch_id
    and status = 'planned'
    and arm = 'treatment'
    and window_opens_at <= $now
    and expires_at > $now
    and message_id not in (
        select decisions.message_id
        from {{ state }}.decisions as decisions
        where decisions.decided_at = $now and decisions.reason = 'frequency_cap' and decisions.message_id is not null
    )
    -- a provider asked to wait, or the account is held
    and message_id not in (
        select decisions.message_id
        from {{ state }}.decisions as decisions
        where {{ holding_back("decisions", "$now") | indent(8) }}
    )
