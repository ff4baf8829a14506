-- The company's own data and what providers said land in raw; state moves only here; dbt owns every other schema.
create schema if not exists {{ raw }};
create schema if not exists {{ state }};
