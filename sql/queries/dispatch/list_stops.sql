-- What a person stopped by hand in a way that holds back also what is planned already: `rekindle stop`.
select stops.reason
from {{ state }}.stops as stops
where
    stops.lifted_at is null
    and stops.mode in ('hold', 'cancel')
    and (
        stops.scope = 'everything'
        or (stops.scope = 'campaign' and stops.name = $campaign_id)
        or (stops.scope = 'channel' and stops.name = $channel)
        or (stops.scope = 'provider' and stops.name = $provider)
    )
order by stops.set_at, stops.stop_id
