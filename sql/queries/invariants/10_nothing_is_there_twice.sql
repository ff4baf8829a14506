-- Re-running a run changes nothing: no natural key holds two rows.
with keyed as (
    select 'entry ' || entry_id as natural_key
    from {{ state }}.journey_entries
    union all
    select 'transition ' || entry_id || ' ' || cast(sequence as {{ text }}) as natural_key
    from {{ state }}.journey_transitions
    union all
    select 'event ' || event_key as natural_key
    from {{ state }}.message_events
    union all
    select
        'element ' || landing_file || ' ' || cast(line_number as {{ text }}) || ' ' || cast(element_number as {{ text
    }})
            as natural_key
    from {{ raw }}.webhook_elements
    union all
    select 'consent ' || consent_id as natural_key
    from {{ state }}.consents
    union all
    select 'contact check ' || channel || ' ' || address_hash as natural_key
    from {{ state }}.contact_checks
    union all
    select
        'decision ' || entry_id || ' ' || step_id || ' ' || reason || ' ' || cast(decided_at as {{ text }}) || ' '
        || coalesce(message_id, '') as natural_key
    from {{ state }}.decisions
    union all
    select 'suppression ' || address_hash || ' ' || channel || ' ' || topic as natural_key
    from {{ state }}.suppressions
    where lifted_at is null
    union all
    select 'landing file ' || landing_file as natural_key
    from {{ raw }}.landing_files
    union all
    select 'number zone ' || phone_hash as natural_key
    from {{ state }}.number_time_zones
    union all
    select 'run ' || activity || ' ' || campaign_id || ' ' || cast(as_of as {{ text }}) as natural_key
    from {{ state }}.campaign_runs
    union all
    select 'foreign event ' || event_key as natural_key
    from {{ state }}.foreign_events
),

counted as (
    select
        natural_key,
        count(*) as row_count
    from keyed
    group by natural_key
)

select
    coalesce(sum(case when row_count > 1 then 1 else 0 end), 0) as violations,
    count(*) as checked,
    'natural keys' as unit
from counted
