{#
  When everybody was last scored. The models of this folder take the instant from here instead of from as_of: so they
  are views that `migrate` makes once, cost the daily run nothing, and always agree with the score.
#}
with

scores as (
    select * from {{ ref('fct_cold_scores') }}
),

last_scoring as (
    select max(scored_as_of) as scored_as_of
    from scores
)

select * from last_scoring
