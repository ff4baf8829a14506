-- How a provider's recently accepted messages fared. Judged: the provider or the carrier said how it ended.
-- A receipt that the reviewed error table calls ours (`configuration`: Twilio 30007 and its kin) counts as filtered,
-- one it ends an entry for as a dead address counts as bounced.
with judged_messages as (
    select message_id
    from {{ state }}.messages
    where provider = $provider and accepted_at >= $since and accepted_at <= $now and status_rank in (70, 80)
),

verdicts as (
    select
        events.message_id,
        max(
            case
                when events.event_type = 'bounced' or errors.exit_reason in ('invalid_email', 'invalid_phone')
                    then 1
                else 0
            end
        ) as bounced,
        max(
            case
                when
                    events.event_type in ('dropped', 'undelivered', 'failed')
                    and errors.error_class = 'configuration'
                    then 1
                else 0
            end
        ) as filtered,
        max(case when events.event_type = 'complained' then 1 else 0 end) as complained
    from {{ state }}.message_events as events
    left join {{ seeds }}.provider_errors as errors
        on
            events.error_code = errors.error_code
            and events.provider = errors.provider
            and errors.seen_in = 'receipt'
    where events.occurred_at >= $since
    group by events.message_id
)

select
    count(*) as judged,
    coalesce(sum(verdicts.bounced), 0) as bounced,
    coalesce(sum(verdicts.filtered), 0) as filtered,
    coalesce(sum(verdicts.complained), 0) as complained
from judged_messages
left join verdicts on judged_messages.message_id = verdicts.message_id
