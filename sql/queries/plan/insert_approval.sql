insert into {{ state }}.approvals (campaign_id, as_of, question, answer, answered_by, answered_at)
values ($campaign_id, $as_of, $question, $answer, $answered_by, $answered_at)
