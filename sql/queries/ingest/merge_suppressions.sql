-- Whoever said stop, complained or has no mailbox: one row per address, channel and topic, with the gravest reason and
-- its first instant, whatever was heard first. Never deleted; what is older than a lift does not come back to life. A
-- new consent lifts an unsubscribe and nothing else: a bounce beside it stays.
merge into {{ state }}.suppressions as known
using (
    with news as (
        select distinct coalesce(incoming.address_hash, messages.address_hash) as address_hash
        from {{ state }}.incoming_events as incoming
        left join {{ state }}.messages as messages on incoming.message_id = messages.message_id
    ),

    lifts as (
        select
            suppressions.address_hash,
            suppressions.channel,
            max(suppressions.lifted_at) as lifted_at
        from {{ state }}.suppressions as suppressions
        where suppressions.lifted_at is not null and suppressions.reason <> 'unsubscribed'
        group by suppressions.address_hash, suppressions.channel
    ),

    returns as (
        select
            welcomes.address_hash,
            welcomes.channel,
            max(welcomes.returned_at) as returned_at
        from (
            select
                suppressions.address_hash,
                suppressions.channel,
                suppressions.lifted_at as returned_at
            from {{ state }}.suppressions as suppressions
            where suppressions.lifted_at is not null and suppressions.reason = 'unsubscribed'
            union all
            select
                preferences.address_hash,
                preferences.channel,
                preferences.occurred_at as returned_at
            from {{ state }}.preferences as preferences
            inner join news on preferences.address_hash = news.address_hash
            where preferences.choice = 'granted' and preferences.source in ('preference_page', 'confirm_page')
        ) as welcomes
        group by welcomes.address_hash, welcomes.channel
    ),

    addressed as (
        select
            events.event_key,
            events.event_type,
            events.provider,
            events.occurred_at,
            coalesce(events.address_hash, messages.address_hash) as address_hash,
            coalesce(messages.channel, case events.provider when 'twilio' then 'sms' else 'email' end) as channel,
            errors.suppression_reason
        from {{ state }}.message_events as events
        left join {{ state }}.messages as messages on events.message_id = messages.message_id
        inner join news on coalesce(events.address_hash, messages.address_hash) = news.address_hash
        left join {{ seeds }}.provider_errors as errors
            on
                events.provider = errors.provider
                and events.error_code = errors.error_code
                and errors.seen_in = 'receipt'
    ),

    reasoned as (
        select
            addressed.event_key,
            addressed.provider,
            addressed.occurred_at,
            addressed.address_hash,
            addressed.channel,
            case addressed.event_type
                when 'unsubscribed' then 'unsubscribed'
                when 'complained' then 'complained'
                when 'bounced' then 'hard_bounced'
                else addressed.suppression_reason
            end as reason
        from addressed
        where
            addressed.event_type in ('unsubscribed', 'complained', 'bounced')
            or (
                addressed.event_type in ('dropped', 'undelivered', 'failed')
                and addressed.suppression_reason is not null
            )
        union all
        -- Refused by the provider because of the address: no event tells it, and no new consent takes it back.
        select
            cast(null as {{ text }}) as event_key,
            refused.provider,
            refused.settled_at as occurred_at,
            refused.address_hash,
            refused.channel,
            errors.suppression_reason as reason
        from {{ state }}.messages as refused
        inner join news on refused.address_hash = news.address_hash
        inner join {{ seeds }}.provider_errors as errors
            on
                refused.provider = errors.provider
                and refused.error_code = errors.error_code
                and errors.seen_in = 'api'
        where
            refused.status = 'failed'
            and refused.settled_at is not null
            and errors.suppression_reason is not null
    ),

    ranked as (
        select
            reasoned.*,
            row_number() over (
                partition by reasoned.address_hash, reasoned.channel
                order by
                    case reasoned.reason
                        when 'complained' then 0
                        when 'unsubscribed' then 1
                        when 'provider_optout' then 2
                        else 3
                    end asc,
                    reasoned.occurred_at asc,
                    reasoned.event_key asc nulls last
            ) as gravity
        from reasoned
        left join lifts on reasoned.address_hash = lifts.address_hash and reasoned.channel = lifts.channel
        left join returns
            on
                reasoned.address_hash = returns.address_hash
                and reasoned.channel = returns.channel
                and reasoned.reason = 'unsubscribed'
        where
            (lifts.lifted_at is null or reasoned.occurred_at > lifts.lifted_at)
            and (returns.returned_at is null or reasoned.occurred_at > returns.returned_at)
    )

    select
        ranked.address_hash,
        ranked.channel,
        ranked.reason,
        ranked.provider,
        ranked.event_key,
        ranked.occurred_at
    from ranked
    where ranked.gravity = 1
) as told
    on
        known.address_hash = told.address_hash
        and known.channel = told.channel
        and known.topic = 'all'
        and known.lifted_at is null
when matched and (known.event_key is distinct from told.event_key) then
    update set
        reason = told.reason,
        source = told.provider,
        event_key = told.event_key,
        suppressed_at = told.occurred_at
when not matched then insert (
    address_hash, channel, topic, reason, source, event_key, suppressed_at, lifted_at, recorded_at
) values (
    told.address_hash,
    told.channel,
    'all',
    told.reason,
    told.provider,
    told.event_key,
    told.occurred_at,
    null,
    $recorded_at
)
