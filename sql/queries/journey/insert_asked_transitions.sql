{% from "macros/moves.jinja" import go, insert_transitions, standing_on with context -%}
-- A question: once its text was accepted the lead stays until the time for an answer is over, and goes where the answer
-- leads. The newest answer known counts. A holdout was asked nothing, so its time runs out. Nobody who is still under
-- way entered before oldest_entered_at.
{{ insert_transitions() }}
with asked as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.last_sequence,
        journeys.stage,
        journeys.due_at as was_due_at,
        messages.status,
        coalesce(messages.accepted_at, messages.attempting_at, messages.settled_at) as asked_at,
        coalesce(messages.attempting_at, messages.settled_at) as first_asked_at,
        {{ add_seconds(
            "coalesce(messages.accepted_at, messages.attempting_at, messages.settled_at)", "$answer_seconds"
        ) }} as due_at
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.messages as messages
        on journeys.entry_id = messages.entry_id and journeys.stage = messages.step_id
    where
        {{ standing_on() | indent }}
        and messages.planned_at >= $oldest_entered_at
        and messages.status in ('accepted', 'sent', 'delivered', 'undelivered', 'withheld', 'aged_out')
),

answered as (
    select
        asked.entry_id,
        answers.answer,
        answers.answered_at,
        row_number() over (
            partition by asked.entry_id
            order by answers.answered_at desc, answers.event_key desc
        ) as recency
    from asked
    inner join {{ state }}.question_answers as answers
        on asked.entry_id = answers.entry_id and asked.stage = answers.step_id
    where
        answers.answered_at >= asked.first_asked_at
        and answers.answered_at <= asked.due_at
        and answers.answer in ({{ "'" ~ (answers | default("yes")).split(",") | join("', '") ~ "'" }})
),

moves as (
    select
        asked.entry_id,
        asked.campaign_id,
        asked.last_sequence,
        asked.stage,
        case
            when answered.answer is not null then 'answer_' || answered.answer
            when asked.due_at <= $as_of then 'otherwise'
            else 'stays'
        end as way,
        case
            when answered.answer is not null then 'answered'
            when asked.due_at <= $as_of then 'no_answer'
            when asked.status = 'withheld' then 'message_withheld'
            when asked.status = 'aged_out' then 'message_aged_out'
            else 'message_accepted'
        end as reason,
        case
            when answered.answer is not null then answered.answered_at
            when asked.due_at <= $as_of then asked.due_at
            else asked.asked_at
        end as happened_at,
        asked.due_at,
        asked.was_due_at
    from asked
    left join answered on asked.entry_id = answered.entry_id and answered.recency = 1
)

{{ go("moves", stays=true) }}
where moves.way <> 'stays' or moves.was_due_at is distinct from moves.due_at
