{#
  Named and read, and nothing else: an event that arrives twice is two rows here. What looks for the latest instant or
  the days somebody was there reads this, because a repeat changes neither and looking for repeats costs the whole log.
#}
{{ check_mapping('events', source('company_log', 'events')) }}

with

source_events as (
    select * from {{ source('company_log', 'events') }}
),

named as (
    select
        {{ mapped('events', 'event_id', dbt.type_string()) }} as event_id,
        {{ mapped('events', 'user_id', dbt.type_string()) }} as lead_id,
        {{ mapped('events', 'event_type', dbt.type_string()) }} as event_type,
        {{ mapped('events', 'properties', dbt.type_string()) }} as properties,
        {{ mapped('events', 'source_file', dbt.type_string()) }} as source_file,
        {{ mapped('events', 'source_row', 'bigint') }} as source_row,
        {{ mapped('events', 'is_made_up', 'boolean') }} as is_made_up,
        {{ mapped('events', 'occurred_at', dbt.type_timestamp()) }} as occurred_at,
        {{ mapped('events', 'loaded_at', dbt.type_timestamp()) }} as loaded_at
    from source_events
),

renamed as (
    select
        -- ids
        coalesce(
            event_id,
            {{ sha256_hex("lead_id || '|' || event_type || '|' || cast(occurred_at as " ~ dbt.type_string() ~ ")") }}
        ) as event_id,
        lead_id,

        -- strings
        event_type,
        {{ event_kind('event_type') }} as event_kind,
        properties,
        source_file,

        -- numerics
        source_row,

        -- booleans
        lower(trim(event_type)) in ({{ event_types('rekindle__purchase_events') }}) as is_purchase,
        lower(trim(event_type)) in ({{ event_types('rekindle__payment_failure_events') }}) as is_payment_failure,
        is_made_up,

        -- timestamps
        occurred_at,
        coalesce(loaded_at, occurred_at) as loaded_at
    from named
    -- a log of a web site knows visitors that are nobody's lead
    where lead_id is not null and event_type is not null and occurred_at is not null
)

select * from renamed
