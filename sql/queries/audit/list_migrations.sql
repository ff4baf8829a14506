select
    migration,
    sha256
from {{ state }}.schema_migrations
order by migration
