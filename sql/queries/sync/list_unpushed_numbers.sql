-- Numbers of whoever said no, by any channel, that Twilio does not know of: neither told by it nor pushed to it.
with said_no as (
    select
        suppressions.address_hash,
        suppressions.channel,
        suppressions.source,
        suppressions.reason,
        suppressions.suppressed_at
    from {{ state }}.suppressions as suppressions
    where
        suppressions.lifted_at is null
        and suppressions.topic = 'all'
        and suppressions.reason in ('unsubscribed', 'complained', 'provider_optout')
),

-- The person asked for messages to this very address again.
welcomes as (
    select
        suppressions.address_hash,
        suppressions.lifted_at as returned_at
    from {{ state }}.suppressions as suppressions
    where suppressions.lifted_at is not null
    union all
    select
        consents.address_hash,
        consents.occurred_at as returned_at
    from {{ state }}.consents as consents
    where consents.action = 'granted' and consents.source in ('preference_page', 'confirm_page')
),

returns as (
    select
        welcomes.address_hash,
        max(welcomes.returned_at) as returned_at
    from welcomes
    group by welcomes.address_hash
),

of_contacts as (
    select
        contacts.phone as address,
        contacts.phone_hash as address_hash,
        said_no.reason,
        said_no.suppressed_at
    from {{ activation }}.sync_lead_contacts as contacts
    inner join said_no on contacts.phone_hash = said_no.address_hash
    where contacts.phone_hash is not null
    union all
    select
        contacts.phone as address,
        contacts.phone_hash as address_hash,
        said_no.reason,
        said_no.suppressed_at
    from {{ activation }}.sync_lead_contacts as contacts
    inner join said_no on contacts.email_hash = said_no.address_hash
    left join returns on contacts.phone_hash = returns.address_hash
    where
        contacts.phone_hash is not null
        and (returns.returned_at is null or said_no.suppressed_at > returns.returned_at)
),

known_there as (
    select said_no.address_hash
    from said_no
    where said_no.source = 'twilio' and said_no.channel = 'sms'
    union all
    select pushes.address_hash
    from {{ state }}.opt_out_pushes as pushes
    where
        pushes.provider = 'twilio' and pushes.provider_list = $provider_list and pushes.withdrawn_at is null
),

ranked as (
    select
        of_contacts.address,
        of_contacts.address_hash,
        of_contacts.reason,
        of_contacts.suppressed_at,
        row_number() over (
            partition by of_contacts.address_hash
            order by of_contacts.suppressed_at asc, of_contacts.reason asc
        ) as telling
    from of_contacts
    left join known_there on of_contacts.address_hash = known_there.address_hash
    where known_there.address_hash is null
)

select
    ranked.address,
    ranked.address_hash,
    ranked.reason,
    ranked.suppressed_at
from ranked
where ranked.telling = 1
order by ranked.suppressed_at asc, ranked.address_hash asc
