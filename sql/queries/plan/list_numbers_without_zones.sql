-- Numbers of due entries whose profile names no time zone and whose numbering plan was not asked yet.
select
    contacts.phone_hash,
    min(contacts.phone) as phone,
    min(contacts.country) as country
from {{ state }}.journey_state as journeys
inner join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
left join {{ state }}.number_time_zones as numbers on contacts.phone_hash = numbers.phone_hash
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
    and contacts.time_zone is null
    and contacts.phone is not null
    and numbers.phone_hash is null
group by contacts.phone_hash
order by contacts.phone_hash
