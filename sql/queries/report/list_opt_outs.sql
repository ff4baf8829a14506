-- Every address of everybody who said stop, with the instant it was in the warehouse.
select
    suppressions.address_hash,
    min(suppressions.recorded_at) as recorded_at
from {{ state }}.suppressions as suppressions
where
    suppressions.reason in ('unsubscribed', 'complained', 'provider_optout', 'hard_bounced')
    and suppressions.lifted_at is null
group by suppressions.address_hash
order by suppressions.address_hash
