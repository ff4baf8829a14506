-- Who may do what in Rekindle's schemas on Snowflake: four roles, and none for the receiver, which has no user here.
-- docs/growing.md says who is who. A person runs this once, with a role that may create schemas and roles (SYSADMIN
-- with SECURITYADMIN granted to it, or your own), and then `rekindle migrate` with the role rekindle_owner.
-- Replace rekindle (the database) and rekindle_wh (the warehouse) by your names. With managed access only who owns a
-- schema gives rights on what is in it: neither rekindle_owner nor rekindle_dbt can pass on tables that they made.

create schema if not exists rekindle.rekindle_raw with managed access;
create schema if not exists rekindle.rekindle_state with managed access;
create schema if not exists rekindle.rekindle_seeds with managed access;
create schema if not exists rekindle.rekindle_staging with managed access;
create schema if not exists rekindle.rekindle_intermediate with managed access;
create schema if not exists rekindle.rekindle_activation with managed access;
create schema if not exists rekindle.rekindle_marts with managed access;

create role if not exists rekindle_owner;
create role if not exists rekindle_sender;
create role if not exists rekindle_dbt;
create role if not exists rekindle_reader;

grant usage on warehouse rekindle_wh to role rekindle_owner;
grant usage on database rekindle to role rekindle_owner;
grant usage on warehouse rekindle_wh to role rekindle_sender;
grant usage on database rekindle to role rekindle_sender;
grant usage on warehouse rekindle_wh to role rekindle_dbt;
grant usage on database rekindle to role rekindle_dbt;
grant usage on warehouse rekindle_wh to role rekindle_reader;
grant usage on database rekindle to role rekindle_reader;

-- owner: `rekindle migrate`. What it creates it owns, and only an owner may alter. Its scripts begin with
-- `create schema if not exists`, for which Snowflake wants the right even where the schema is there.
grant create schema on database rekindle to role rekindle_owner;
grant usage, create table on schema rekindle.rekindle_raw to role rekindle_owner;
grant usage, create table on schema rekindle.rekindle_state to role rekindle_owner;

-- sender: ingest, campaigns, reconcile, provider sync. Rows of raw and state; no table made, none dropped.
grant usage on schema rekindle.rekindle_raw to role rekindle_sender;
grant select, insert, update, delete on all tables in schema rekindle.rekindle_raw to role rekindle_sender;
grant select, insert, update, delete on future tables in schema rekindle.rekindle_raw to role rekindle_sender;
grant usage on schema rekindle.rekindle_state to role rekindle_sender;
grant select, insert, update, delete on all tables in schema rekindle.rekindle_state to role rekindle_sender;
grant select, insert, update, delete on future tables in schema rekindle.rekindle_state to role rekindle_sender;
-- what it reads of what dbt builds; a view reads with the rights of its owner
grant usage on schema rekindle.rekindle_seeds to role rekindle_sender;
grant select on all tables in schema rekindle.rekindle_seeds to role rekindle_sender;
grant select on future tables in schema rekindle.rekindle_seeds to role rekindle_sender;
grant usage on schema rekindle.rekindle_activation to role rekindle_sender;
grant select on all views in schema rekindle.rekindle_activation to role rekindle_sender;
grant select on future views in schema rekindle.rekindle_activation to role rekindle_sender;
grant usage on schema rekindle.rekindle_marts to role rekindle_sender;
grant select on all tables in schema rekindle.rekindle_marts to role rekindle_sender;
grant select on future tables in schema rekindle.rekindle_marts to role rekindle_sender;
grant select on all views in schema rekindle.rekindle_marts to role rekindle_sender;
grant select on future views in schema rekindle.rekindle_marts to role rekindle_sender;

-- dbt: score and measure. It reads raw and state and owns what it builds, so that no `--full-refresh` reaches state.
grant usage on schema rekindle.rekindle_raw to role rekindle_dbt;
grant select on all tables in schema rekindle.rekindle_raw to role rekindle_dbt;
grant select on future tables in schema rekindle.rekindle_raw to role rekindle_dbt;
grant usage on schema rekindle.rekindle_state to role rekindle_dbt;
grant select on all tables in schema rekindle.rekindle_state to role rekindle_dbt;
grant select on future tables in schema rekindle.rekindle_state to role rekindle_dbt;
grant usage, create table, create view on schema rekindle.rekindle_seeds to role rekindle_dbt;
grant usage, create table, create view on schema rekindle.rekindle_staging to role rekindle_dbt;
grant usage, create table, create view on schema rekindle.rekindle_intermediate to role rekindle_dbt;
grant usage, create table, create view on schema rekindle.rekindle_activation to role rekindle_dbt;
grant usage, create table, create view on schema rekindle.rekindle_marts to role rekindle_dbt;

-- reader: BI. The marts hold hashes and no addresses.
grant usage on schema rekindle.rekindle_marts to role rekindle_reader;
grant select on all tables in schema rekindle.rekindle_marts to role rekindle_reader;
grant select on future tables in schema rekindle.rekindle_marts to role rekindle_reader;
grant select on all views in schema rekindle.rekindle_marts to role rekindle_reader;
grant select on future views in schema rekindle.rekindle_marts to role rekindle_reader;
