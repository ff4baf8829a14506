insert into {{ state }}.campaign_versions (campaign_id, journey_version, definition, first_used_at)
select
    $campaign_id as campaign_id,
    $journey_version as journey_version,
    $definition as definition,
    $as_of as first_used_at
from (select 1 as one) as this_version
where
    not exists (
        select 1
        from {{ state }}.campaign_versions as versions
        where versions.campaign_id = $campaign_id and versions.journey_version = $journey_version
    )
