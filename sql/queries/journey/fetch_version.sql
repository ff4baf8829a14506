select versions.definition
from {{ state }}.campaign_versions as versions
where versions.campaign_id = $campaign_id and versions.journey_version = $journey_version
