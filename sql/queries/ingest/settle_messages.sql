-- Move messages by monotone ranks: late, repeated and out-of-order events change nothing. What a message comes to is
-- read from everything that was ever told about it, so it does not depend on which part was told first.
update {{ state }}.messages as messages
set
    status = news.status,
    status_rank = news.status_rank,
    accepted_at = coalesce(messages.accepted_at, messages.attempting_at, news.occurred_at),
    settled_at = case when news.status_rank >= 70 then news.occurred_at else messages.settled_at end,
    provider_message_id = coalesce(messages.provider_message_id, news.provider_message_id),
    error_code = coalesce(news.error_code, messages.error_code),
    lease_expires_at = null
from (
    select
        ranked.*,
        row_number() over (
            partition by
                ranked.message_id order by ranked.status_rank desc, ranked.occurred_at asc, ranked.event_key
            asc
        ) as news_rank
    from (
        select
            events.message_id,
            events.event_key,
            events.occurred_at,
            events.provider_message_id,
            case
                when events.event_type in ('bounced', 'blocked', 'dropped', 'undelivered', 'failed')
                    then events.error_code
            end as error_code,
            case
                when events.event_type in ('bounced', 'blocked', 'dropped', 'undelivered', 'failed')
                    then 'undelivered'
                when events.event_type in ('delivered', 'opened', 'clicked', 'complained', 'unsubscribed')
                    then 'delivered'
                when events.event_type = 'sent' then 'sent'
                else 'accepted'
            end as status,
            case
                when events.event_type in ('bounced', 'blocked', 'dropped', 'undelivered', 'failed') then 80
                when events.event_type in ('delivered', 'opened', 'clicked', 'complained', 'unsubscribed') then 70
                when events.event_type = 'sent' then 60
                else 50
            end as status_rank
        from {{ state }}.message_events as events
        where
            events.message_id in (
                select incoming.message_id
                from {{ state }}.incoming_events as incoming
                where incoming.message_id is not null and incoming.provider <> 'rekindle'
            )
            and events.provider <> 'rekindle'
            and events.event_type <> 'other'
    ) as ranked
) as news
where
    messages.message_id = news.message_id
    and news.news_rank = 1
    and (
        news.status_rank > messages.status_rank
        -- the same news with an earlier instant or another cause: when it settled must not depend on what came first
        or (
            news.status_rank = messages.status_rank
            and news.status_rank >= 70
            and (
                news.occurred_at < messages.settled_at
                or (
                    news.occurred_at = messages.settled_at
                    and news.error_code is not null
                    and messages.error_code is distinct from news.error_code
                )
            )
        )
    )
