-- What will be sent, and what is withheld because the lead is held out. The id makes planning twice impossible: nothing
-- was planned before oldest_entered_at for whoever is still under way.
insert into {{ state }}.messages (
    message_id, entry_id, campaign_id, lead_id, arm, step_id, channel, attempt_class, address_hash, status, status_rank,
    batch_id, settled_at, template_hash, time_zones, window_opens_at, planned_at, expires_at, journey_version,
    offer_code, offer_ends_at, run_id
)
with planned as (
    select
        due.*,
        {{ stable_id_digest("entry_id", "step_id", "attempt_class", "channel") }} as digest,
        floor((row_number() over (order by verdict asc, entry_id asc) - 1) / $batch_size) as batch_number
    from {{ state }}.due_entries as due
    where campaign_id = $campaign_id and step_id = $step_id and verdict in ('send', 'withhold')
),

identified as (
    select
        planned.*,
        {{ uuid_of_digest("digest") }} as message_id
    from planned
)

select
    identified.message_id,
    identified.entry_id,
    identified.campaign_id,
    identified.lead_id,
    identified.arm,
    identified.step_id,
    identified.channel,
    identified.attempt_class,
    identified.address_hash,
    case identified.verdict when 'withhold' then 'withheld' else 'planned' end as status,
    case identified.verdict when 'withhold' then 90 else 0 end as status_rank,
    $batch_prefix || cast(cast(identified.batch_number as {{ bigint }}) as {{ text }}) as batch_id,
    case identified.verdict when 'withhold' then $as_of end as settled_at,
    $template_hash as template_hash,
    identified.time_zones,
    identified.window_opens_at,
    $as_of as planned_at,
    identified.window_closes_at as expires_at,
    $journey_version as journey_version,
    $offer_code as offer_code,
    $offer_ends_at as offer_ends_at,
    $run_id as run_id
from identified
left join {{ state }}.messages as known
    on identified.message_id = known.message_id and known.planned_at >= $oldest_entered_at
where known.message_id is null
