with

cold_scores as (
    select * from {{ ref('fct_cold_scores') }}
),

cohort as (
    select
        lead_id,
        person_id,
        cold_score,
        score_contributions,
        crossed_cold_on,
        segment,
        scored_as_of
    from cold_scores
    where is_in_cohort
)

select * from cohort
