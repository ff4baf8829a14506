with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

last_scoring as (
    select * from {{ ref('int_last_scoring') }}
),

-- This year's birthday and next year's: a rule may look ahead over the turn of the year.
years as (
    select 0 as ahead
    union all
    select 1 as ahead
),

occasions as (
    select
        lead_id,
        'renewal' as occasion,
        renewal_on as occurs_on
    from leads
    where renewal_on is not null
    union all
    select
        leads.lead_id,
        'birthday' as occasion,
        cast(
            {{ dbt.dateadd(
                'year',
                'cast(extract(year from last_scoring.scored_as_of) - extract(year from leads.birthday) + years.ahead as '
                ~ 'int)',
                'leads.birthday'
            ) }} as date
        ) as occurs_on
    from leads
    cross join last_scoring
    cross join years
    where leads.birthday is not null
),

rules_of_dates as (
    select * from {{ ref('activation_rules') }}
    where rule in ('renewal', 'birthday')
),

candidates as (
    select
        occasions.lead_id,
        occasions.occasion,
        {{ seconds_after(
            'cast(occasions.occurs_on as ' ~ dbt.type_timestamp() ~ ')',
            'cast(round(rules_of_dates.after_days * 86400) as bigint)'
        ) }} as happened_at
    from occasions
    inner join rules_of_dates on occasions.occasion = rules_of_dates.rule
),

{{ offered_by_rule('important_dates', besides=['occasion']) }}

select * from offered
