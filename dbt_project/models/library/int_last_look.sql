{#
  The instant of the models tagged `hourly`: of the last refresh, or of the last scoring if that is newer.
#}
with

last_scoring as (
    select * from {{ ref('int_last_scoring') }}
),

last_refresh as (
    select * from {{ ref('int_last_refresh') }}
),

last_look as (
    select {{ latest_of('last_refresh.refreshed_as_of', 'last_scoring.scored_as_of') }} as looked_as_of
    from last_refresh
    cross join last_scoring
)

select * from last_look
