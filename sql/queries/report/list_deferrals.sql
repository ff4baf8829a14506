-- Who waited for which campaign because that one wrote to the person, and what became of these messages: written later,
-- or the entry ended before. A message that waited several times is counted with the campaign it waited for last.
with lost as (
    select
        decided.campaign_id,
        decided.detail as winning_campaign_id,
        decided.entry_id,
        decided.step_id,
        count(*) as deferrals,
        max(decided.decided_at) as last_decided_at
    from {{ state }}.decisions as decided
    where decided.reason = 'lost_arbitration'
    group by decided.campaign_id, decided.detail, decided.entry_id, decided.step_id
),

ranked as (
    select
        lost.*,
        row_number() over (
            partition by lost.entry_id, lost.step_id
            order by lost.last_decided_at desc, lost.winning_campaign_id asc
        ) as recency
    from lost
),

written as (
    select distinct
        messages.entry_id,
        messages.step_id
    from {{ state }}.messages as messages
    where messages.status <> 'expired'
),

judged as (
    select
        ranked.campaign_id,
        ranked.winning_campaign_id,
        ranked.deferrals,
        case when ranked.recency = 1 then 1 else 0 end as messages,
        case when ranked.recency = 1 and written.entry_id is not null then 1 else 0 end as went_later,
        case
            when ranked.recency = 1 and written.entry_id is null and journeys.exit_reason is not null then 1
            else 0
        end as ended_before
    from ranked
    inner join {{ state }}.journey_state as journeys on ranked.entry_id = journeys.entry_id
    left join written on ranked.entry_id = written.entry_id and ranked.step_id = written.step_id
)

select
    judged.campaign_id,
    judged.winning_campaign_id,
    sum(judged.deferrals) as deferrals,
    sum(judged.messages) as messages,
    sum(judged.went_later) as went_later,
    sum(judged.ended_before) as ended_before
from judged
group by judged.campaign_id, judged.winning_campaign_id
order by judged.campaign_id asc, deferrals desc, judged.winning_campaign_id asc
