{#
  When the DAG `refresh` last ran, between two scorings: the only thing it writes. What it makes current are views.
#}
with

last_scoring as (
    select * from {{ ref('int_last_scoring') }}
),

-- one row, also before the first scoring
last_refresh as (
    select
        {{ as_of_timestamp() }} as refreshed_as_of,
        scored_as_of
    from last_scoring
)

select * from last_refresh
