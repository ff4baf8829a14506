-- Move messages by monotone ranks: late, repeated and out-of-order events change nothing.
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
            incoming.message_id,
            incoming.event_key,
            incoming.occurred_at,
            incoming.provider_message_id,
            case
                when incoming.event_type in ('bounced', 'blocked', 'dropped', 'undelivered', 'failed')
                    then incoming.error_code
            end as error_code,
            case
                when incoming.event_type in ('bounced', 'blocked', 'dropped', 'undelivered', 'failed')
                    then 'undelivered'
                when incoming.event_type in ('delivered', 'opened', 'clicked', 'complained', 'unsubscribed')
                    then 'delivered'
                when incoming.event_type = 'sent' then 'sent'
                else 'accepted'
            end as status,
            case
                when incoming.event_type in ('bounced', 'blocked', 'dropped', 'undelivered', 'failed') then 80
                when incoming.event_type in ('delivered', 'opened', 'clicked', 'complained', 'unsubscribed') then 70
                when incoming.event_type = 'sent' then 60
                else 50
            end as status_rank
        from {{ state }}.incoming_events as incoming
        where
            incoming.message_id is not null
            and incoming.provider <> 'rekindle'
            and incoming.event_type <> 'other'
    ) as ranked
) as news
where
    messages.message_id = news.message_id
    and news.news_rank = 1
    and (
        news.status_rank > messages.status_rank
        -- the same news heard again with an earlier instant: when it settled must not depend on what came first
        or (
            news.status_rank = messages.status_rank
            and news.status_rank >= 70
            and news.occurred_at < messages.settled_at
        )
    )
