{#
  The log, a row per lead and day. Incremental, because the log is long: a run computes anew the days of which anything
  was loaded since the last one, wholly, so that what arrives late or twice is where it belongs. It knows nothing of
  as_of: whoever reads it takes the days before.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite' if target.type == 'bigquery' else 'delete+insert',
    unique_key='active_on',
    partition_by={'field': 'active_on', 'data_type': 'date'} if target.type == 'bigquery' else none,
    on_schema_change='append_new_columns',
) }}

{%- set fingerprint = history_fingerprint() %}

with

{{ lead_days(days_with_news(this, fingerprint) if is_incremental() else 'true') }},

fingerprinted as (
    select
        *,
        {{ next_revision(this) }} as revision,
        {{ fingerprint }} as kinds_digest
    from lead_days
)

select * from fingerprinted
