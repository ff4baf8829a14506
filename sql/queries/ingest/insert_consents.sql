{% set addresses = [("email", "email_hash"), ("sms", "phone_hash")] -%}
-- Every word of consent, once: as the company's own user table states it, as people chose it on our pages and in forms,
-- and as an opt-out or a complaint takes it back. What takes back holds for every address of the person.
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
    {%- for channel, address_hash in addresses %}
    select
        contacts.lead_id,
        '{{ channel }}' as channel,
        contacts.{{ address_hash }} as address_hash,
        users.{{ channel }}_consented_at as occurred_at,
        users.{{ channel }}_consent_expires_at as expires_at,
        contacts.country
    from {{ activation }}.sync_lead_contacts as contacts
    inner join {{ raw }}.users as users on contacts.lead_id = users.user_id
    cross join newest
    where
        users.loaded_at >= newest.recorded_at
        and users.{{ channel }}_consented_at is not null
        and contacts.{{ address_hash }} is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

-- Words that came in since, two days over: whoever was loading at the same time may commit later. One of them may speak
-- for several addresses; the anti-join below makes the overlap harmless.
since as (
    select
        {{ add_seconds("coalesce(max(consents.recorded_at), cast('1970-01-03' as " ~ timestamp ~ "))", "-172800") }}
            as recorded_at
    from {{ state }}.consents as consents
    where consents.source <> 'users'
),

sayings as (
    select
        preferences.choice_id as saying_id,
        preferences.address_hash,
        preferences.address_channel,
        preferences.channel,
        preferences.topic,
        case preferences.choice when 'granted' then 'granted' else 'revoked' end as action,
        preferences.wording_version,
        preferences.source,
        preferences.evidence,
        preferences.jurisdiction,
        preferences.occurred_at
    from {{ state }}.preferences as preferences
    cross join since
    where
        preferences.recorded_at >= since.recorded_at
        and preferences.choice in ('granted', 'revoked', 'paused')
    union all
    select
        events.event_key as saying_id,
        coalesce(events.address_hash, messages.address_hash) as address_hash,
        coalesce(messages.channel, case events.provider when 'twilio' then 'sms' else 'email' end) as address_channel,
        'all' as channel,
        'all' as topic,
        'revoked' as action,
        cast(null as {{ text }}) as wording_version,
        events.provider as source,
        'message event ' || events.event_key as evidence,
        cast(null as {{ text }}) as jurisdiction,
        events.occurred_at
    from {{ state }}.message_events as events
    left join {{ state }}.messages as messages on events.message_id = messages.message_id
    cross join since
    where
        events.recorded_at >= since.recorded_at
        and events.event_type in ('unsubscribed', 'complained')
        -- the page that stops everything has said so in its own row
        and events.provider_event <> 'preferences'
        and coalesce(events.address_hash, messages.address_hash) is not null
),

-- A form that anybody can fill in does not overrule somebody who said no.
refusals as (
    select distinct
        consents.address_hash,
        consents.channel
    from {{ state }}.consents as consents
    inner join sayings on consents.address_hash = sayings.address_hash
    where consents.action = 'revoked'
    union all
    select distinct
        sayings.address_hash,
        sayings.address_channel as channel
    from sayings
    where sayings.action = 'revoked'
),

heard as (
    select sayings.*
    from sayings
    where
        sayings.source <> 'form'
        or sayings.address_hash not in (
            select refusals.address_hash
            from refusals
            where sayings.channel = refusals.channel
        )
),

-- Every address a saying speaks for: its own, and for a no those of the same person's profile.
spoken_for as (
    select
        heard.saying_id,
        heard.address_channel as channel,
        heard.address_hash,
        cast(null as {{ text }}) as lead_id,
        cast(null as {{ text }}) as country
    from heard
    where heard.channel in (heard.address_channel, 'all')
    {%- for said_on, said_hash in addresses %}
    {%- for meant, meant_hash in addresses %}
    union all
    select
        heard.saying_id,
        '{{ meant }}' as channel,
        contacts.{{ meant_hash }} as address_hash,
        contacts.lead_id,
        contacts.country
    from heard
    inner join {{ activation }}.sync_lead_contacts as contacts on heard.address_hash = contacts.{{ said_hash }}
    where
        heard.address_channel = '{{ said_on }}'
        and heard.channel in ('{{ meant }}', 'all')
        {%- if meant != said_on %}
        and heard.action = 'revoked'
        and contacts.{{ meant_hash }} is not null
        {%- endif %}
    {%- endfor %}
    {%- endfor %}
),

digests as (
    select
        stated.lead_id,
        stated.channel,
        stated.address_hash,
        stated.occurred_at,
        stated.expires_at,
        'all' as topic,
        'granted' as action,
        cast(null as {{ text }}) as wording_version,
        'users' as source,
        'column of the users table' as evidence,
        stated.country,
        {{ stable_id_digest("lead_id", "channel", "address_hash", instant_text("occurred_at")) }} as digest
    from stated
    union all
    select
        spoken_for.lead_id,
        spoken_for.channel,
        spoken_for.address_hash,
        heard.occurred_at,
        cast(null as {{ timestamp }}) as expires_at,
        heard.topic,
        heard.action,
        heard.wording_version,
        heard.source,
        heard.evidence,
        coalesce(heard.jurisdiction, spoken_for.country) as country,
        {{ stable_id_digest("heard.saying_id", "spoken_for.channel", "spoken_for.address_hash") }} as digest
    from heard
    inner join spoken_for on heard.saying_id = spoken_for.saying_id
),

identified as (
    select
        digests.*,
        {{ uuid_of_digest("digest") }} as consent_id,
        row_number() over (
            partition by digest order by expires_at asc nulls last, lead_id asc nulls last, country asc nulls last
        ) as telling
    from digests
)

select
    identified.consent_id,
    identified.address_hash,
    identified.lead_id,
    identified.channel,
    identified.topic,
    identified.action,
    identified.wording_version,
    identified.source,
    identified.evidence,
    identified.country as jurisdiction,
    identified.occurred_at,
    identified.expires_at,
    $recorded_at as recorded_at
from identified
left join {{ state }}.consents as known on identified.consent_id = known.consent_id
where known.consent_id is null and identified.telling = 1
