-- Rolling, across campaigns, per lead and per address: no send had as many sends as its cap before it, inside the days
-- of the cap.
with sent as (
    select
        message_id,
        campaign_id,
        lead_id,
        address_hash,
        attempting_at
    from {{ state }}.messages
    where attempting_at is not null and status not in ('failed', 'expired', 'planned')
),

-- What other tools sent counts too.
written as (
    select
        message_id,
        lead_id,
        address_hash,
        attempting_at
    from sent
    union all
    select
        external_message_id as message_id,
        lead_id,
        address_hash,
        sent_at as attempting_at
    from {{ raw }}.external_messages
),

counted as (
    select
        sent.message_id,
        count(earlier.message_id) as earlier_sends
    from sent
    left join written as earlier
        on
            (sent.lead_id = earlier.lead_id or sent.address_hash = earlier.address_hash)
            and sent.message_id <> earlier.message_id
            and sent.attempting_at >= earlier.attempting_at
            and earlier.attempting_at > {{ add_seconds("sent.attempting_at", "-$cap_seconds") }}
    where sent.campaign_id = $campaign_id
    group by sent.message_id
)

select
    coalesce(sum(case when earlier_sends >= $cap_messages then 1 else 0 end), 0) as violations,
    count(*) as checked,
    'sends' as unit
from counted
