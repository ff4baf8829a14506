{# A view: an opt-out of a minute ago is in it without a dbt run. #}
{{ config(materialized='view') }}

with

suppressions as (
    select * from {{ source('rekindle_state', 'suppressions') }}
),

in_force as (
    select
        address_hash,
        channel,
        topic,
        reason,
        source,
        suppressed_at
    from suppressions
    where lifted_at is null
    qualify row_number() over (
        partition by address_hash, channel, topic
        order by suppressed_at asc nulls last, recorded_at asc nulls last
    ) = 1
)

select * from in_force
