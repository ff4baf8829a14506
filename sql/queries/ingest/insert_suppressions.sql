-- Whoever said stop, complained or has no mailbox. Never deleted; a repeated opt-out changes nothing.
insert into {{ state }}.suppressions (
    address_hash, channel, topic, reason, source, event_key, suppressed_at, lifted_at, recorded_at
)
with addressed as (
    select
        incoming.event_key,
        incoming.event_type,
        incoming.provider,
        incoming.occurred_at,
        coalesce(incoming.address_hash, messages.address_hash) as address_hash,
        coalesce(messages.channel, case incoming.provider when 'twilio' then 'sms' else 'email' end) as channel,
        errors.suppression_reason
    from {{ state }}.incoming_events as incoming
    -- only what is news: an opt-out told again after a new consent must not come back to life
    inner join {{ state }}.message_events as news
        on incoming.event_key = news.event_key and incoming.landing_file = news.landing_file
    left join {{ state }}.messages as messages on incoming.message_id = messages.message_id
    left join {{ seeds }}.provider_errors as errors
        on
            incoming.provider = errors.provider
            and incoming.error_code = errors.error_code
            and errors.seen_in = 'receipt'
),

reasoned as (
    select
        event_key,
        provider,
        occurred_at,
        address_hash,
        channel,
        case event_type
            when 'unsubscribed' then 'unsubscribed'
            when 'complained' then 'complained'
            when 'bounced' then 'hard_bounced'
            else suppression_reason
        end as reason
    from addressed
    where
        address_hash is not null
        and (
            event_type in ('unsubscribed', 'complained', 'bounced')
            or (event_type in ('dropped', 'undelivered', 'failed') and suppression_reason is not null)
        )
),

first_of_each as (
    select
        reasoned.*,
        row_number() over (
            partition by reasoned.address_hash, reasoned.channel
            order by
                case when reasoned.reason in ('unsubscribed', 'complained') then 0 else 1 end,
                reasoned.occurred_at asc,
                reasoned.event_key asc
        ) as word_rank
    from reasoned
)

select
    first_of_each.address_hash,
    first_of_each.channel,
    'all' as topic,
    first_of_each.reason,
    first_of_each.provider as source,
    first_of_each.event_key,
    first_of_each.occurred_at as suppressed_at,
    cast(null as {{ timestamp }}) as lifted_at,
    $recorded_at as recorded_at
from first_of_each
left join {{ state }}.suppressions as known
    on
        first_of_each.address_hash = known.address_hash
        and first_of_each.channel = known.channel
        and known.topic = 'all'
        and known.lifted_at is null
        and (
            first_of_each.reason = known.reason
            or first_of_each.reason not in ('unsubscribed', 'complained', 'provider_optout')
        )
where first_of_each.word_rank = 1 and known.address_hash is null
