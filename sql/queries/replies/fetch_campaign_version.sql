select definition
from {{ state }}.campaign_versions
where campaign_id = $campaign_id and journey_version = $journey_version
