-- Addresses of due entries at this send step that were never checked, or too long ago.
select
    case $channel when 'email' then contacts.email_hash else contacts.phone_hash end as address_hash,
    min(case $channel when 'email' then contacts.email else contacts.phone end) as address,
    min(contacts.country) as country
from {{ state }}.journey_state as journeys
inner join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
left join {{ state }}.contact_checks as checks
    on
        checks.channel = $channel
        and checks.address_hash = case $channel when 'email' then contacts.email_hash else contacts.phone_hash end
        and checks.checked_at > $valid_since
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
    and checks.address_hash is null
    and case $channel when 'email' then contacts.email else contacts.phone end is not null
group by case $channel when 'email' then contacts.email_hash else contacts.phone_hash end
order by address_hash
