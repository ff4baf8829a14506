-- Consent as the company's own user table states it, once per lead, channel and instant.
insert into {{ state }}.consents (
    consent_id, address_hash, lead_id, channel, topic, action, wording_version, source, evidence, jurisdiction,
    occurred_at, expires_at, recorded_at
)
with newest as (
    -- users loaded since consents were last read from the table; the anti-join below makes an overlap harmless
    select coalesce(max(consents.recorded_at), cast('1970-01-01' as {{ timestamp }})) as recorded_at
    from {{ state }}.consents as consents
    where consents.source = 'users'
),

stated as (
    select
        contacts.lead_id,
        'email' as channel,
        contacts.email_hash as address_hash,
        users.email_consented_at as occurred_at,
        contacts.country
    from {{ activation }}.sync_lead_contacts as contacts
    inner join {{ raw }}.users as users on contacts.lead_id = users.user_id
    cross join newest
    where
        users.loaded_at >= newest.recorded_at
        and users.email_consented_at is not null
        and contacts.email_hash is not null
    union all
    select
        contacts.lead_id,
        'sms' as channel,
        contacts.phone_hash as address_hash,
        users.sms_consented_at as occurred_at,
        contacts.country
    from {{ activation }}.sync_lead_contacts as contacts
    inner join {{ raw }}.users as users on contacts.lead_id = users.user_id
    cross join newest
    where
        users.loaded_at >= newest.recorded_at
        and users.sms_consented_at is not null
        and contacts.phone_hash is not null
),

digests as (
    select
        stated.*,
        {{ stable_id_digest("lead_id", "channel", "address_hash", "cast(occurred_at as varchar)") }} as digest
    from stated
),

identified as (
    select
        digests.*,
        {{ uuid_of_digest("digest") }} as consent_id,
        row_number() over (partition by digest order by country asc nulls last) as telling
    from digests
)

select
    identified.consent_id,
    identified.address_hash,
    identified.lead_id,
    identified.channel,
    'all' as topic,
    'granted' as action,
    cast(null as {{ text }}) as wording_version,
    'users' as source,
    'column of the users table' as evidence,
    identified.country as jurisdiction,
    identified.occurred_at,
    cast(null as {{ timestamp }}) as expires_at,
    $recorded_at as recorded_at
from identified
left join {{ state }}.consents as known on identified.consent_id = known.consent_id
where known.consent_id is null and identified.telling = 1
