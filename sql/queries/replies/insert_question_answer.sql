-- What a text answered, once, however often it is heard.
insert into {{ state }}.question_answers (entry_id, step_id, answer, answered_at, event_key, recorded_at)
select
    $entry_id as entry_id,
    $step_id as step_id,
    $answer as answer,
    $answered_at as answered_at,
    $event_key as event_key,
    $recorded_at as recorded_at
from (select 1 as one) as this_answer
where $event_key not in (select known.event_key from {{ state }}.question_answers as known)
