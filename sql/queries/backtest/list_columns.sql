-- The columns of a table of the company's own, as a mapping names it.
select column_name
from information_schema.columns
where lower(table_schema) = lower($schema) and lower(table_name) = lower($table)
order by ordinal_position
