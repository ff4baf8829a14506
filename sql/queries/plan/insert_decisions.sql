insert into {{ state }}.decisions (
    entry_id, campaign_id, lead_id, step_id, channel, reason, detail, decided_at, next_due_at, run_id
)
select
    due.entry_id,
    due.campaign_id,
    due.lead_id,
    due.step_id,
    due.channel,
    due.reason,
    due.detail,
    $as_of as decided_at,
    due.next_due_at,
    $run_id as run_id
from {{ state }}.due_entries as due
left join {{ state }}.decisions as known
    on
        due.entry_id = known.entry_id
        and due.step_id = known.step_id
        and due.reason = known.reason
        and known.decided_at = $as_of
where
    known.entry_id is null
    and due.campaign_id = $campaign_id
    and due.step_id = $step_id
    and due.verdict in ('defer', 'skip', 'hold')
