-- The entry ended, the person said stop or the address is another since planning: this message will never be sent.
update {{ state }}.messages
set
    status = 'expired',
    status_rank = 90,
    settled_at = $now,
    error_code = 'rechecked'
where
    batch_id = $batch_id
    and status = 'planned'
    and message_id in (
        select decisions.message_id
        from {{ state }}.decisions as decisions
        where
            decisions.decided_at = $now
            and decisions.reason in ('entry_ended', 'suppressed', 'address_changed', 'consent_missing')
            and decisions.message_id is not null
    )
