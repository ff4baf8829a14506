-- Texts the provider took and nobody has told the end of; the oldest first, up to the age at which it is given up.
with still_open as (
    select
        messages.message_id,
        messages.provider_message_id,
        row_number() over (order by messages.accepted_at asc, messages.message_id asc) as place
    from {{ state }}.messages as messages
    where
        messages.channel = 'sms'
        and messages.provider = 'twilio'
        and messages.status in ('accepted', 'sent')
        and messages.provider_message_id is not null
        and messages.accepted_at <= $accepted_before
        and messages.accepted_at > $accepted_after
)

select
    still_open.message_id,
    still_open.provider_message_id
from still_open
where still_open.place <= $at_most
order by still_open.place asc
