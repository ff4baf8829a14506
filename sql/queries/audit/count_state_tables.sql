select count(*) as table_count
from {{ tables_of_schema(state) }}
