-- Of the numbers given up, those we could text: the provider's file holds a whole country's.
insert into {{ state }}.incoming_events (
    event_key, message_id, provider, event_type, provider_event, occurred_at, received_at, provider_message_id,
    error_code, address_hash, is_human, detail, landing_file
)
select distinct
    numbers.event_key,
    cast(null as {{ text }}) as message_id,
    'twilio' as provider,
    'failed' as event_type,
    'deactivated' as provider_event,
    numbers.deactivated_at as occurred_at,
    $recorded_at as received_at,
    cast(null as {{ text }}) as provider_message_id,
    'deactivated' as error_code,
    numbers.phone_hash as address_hash,
    cast(null as boolean) as is_human,
    cast(null as {{ text }}) as detail,
    numbers.landing_file
from {{ state }}.deactivated_numbers as numbers
inner join {{ activation }}.sync_lead_contacts as contacts on numbers.phone_hash = contacts.phone_hash
