-- The columns of a table of the company's own, as a mapping names it.
select lower(column_name) as column_name
from {{ columns_of_schema(schema | default("main")) }}
where lower(table_name) = lower($table)
order by ordinal_position
