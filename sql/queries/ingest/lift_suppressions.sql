-- Who unsubscribed and then asked for messages again, on a page behind a link to the very address, is written to again.
-- A complaint, a dead mailbox or a STOP at the carrier is not taken back here; nor is anything by a webhook or a form.
update {{ state }}.suppressions as suppressions
set lifted_at = granted.granted_at
from (
    select
        incoming.address_hash,
        incoming.channel,
        max(incoming.occurred_at) as granted_at
    from {{ state }}.incoming_preferences as incoming
    where incoming.choice = 'granted' and incoming.source in ('preference_page', 'confirm_page')
    group by incoming.address_hash, incoming.channel
) as granted
where
    suppressions.address_hash = granted.address_hash
    and suppressions.channel = granted.channel
    and suppressions.reason = 'unsubscribed'
    and suppressions.lifted_at is null
    and suppressions.suppressed_at <= granted.granted_at
