-- Every text in a person's own words waits for a person, once; of several entries of the number the newest is named. So
-- does an answer that came after its entry had ended: nothing follows from it any more.
insert into {{ state }}.reply_queue (
    event_key, address_hash, lead_id, entry_id, campaign_id, reading, replied_at, landing_file, queued_at, told_at,
    handled_at, handled_by, run_id
)
with replies as (
    select
        events.event_key,
        events.address_hash,
        coalesce(events.detail, 'reply') as reading,
        events.occurred_at as replied_at,
        events.landing_file
    from {{ state }}.message_events as events
    left join {{ state }}.reply_queue as known on events.event_key = known.event_key
    where events.event_type = 'replied' and events.address_hash is not null and known.event_key is null
    union all
    select
        events.event_key,
        events.address_hash,
        'answer_after_end' as reading,
        answers.answered_at as replied_at,
        events.landing_file
    from {{ state }}.question_answers as answers
    inner join {{ state }}.journey_state as journeys on answers.entry_id = journeys.entry_id
    inner join {{ state }}.message_events as events on answers.event_key = events.event_key
    left join {{ state }}.reply_queue as known on answers.event_key = known.event_key
    where journeys.exited_at < answers.answered_at and known.event_key is null
),

placed as (
    select
        replies.*,
        entries.lead_id,
        entries.entry_id,
        entries.campaign_id,
        row_number() over (
            partition by replies.event_key
            order by entries.entered_at desc nulls last, entries.entry_id asc nulls last
        ) as place
    from replies
    left join {{ state }}.journey_entries as entries
        on replies.address_hash = entries.phone_hash and replies.replied_at >= entries.entered_at
)

select
    placed.event_key,
    placed.address_hash,
    placed.lead_id,
    placed.entry_id,
    placed.campaign_id,
    placed.reading,
    placed.replied_at,
    placed.landing_file,
    $recorded_at as queued_at,
    cast(null as {{ timestamp }}) as told_at,
    cast(null as {{ timestamp }}) as handled_at,
    cast(null as {{ text }}) as handled_by,
    $run_id as run_id
from placed
where placed.place = 1
