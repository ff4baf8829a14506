select count(*) as table_count
from information_schema.tables
where table_schema = '{{ state }}'
