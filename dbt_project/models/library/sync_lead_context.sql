with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

scores as (
    select * from {{ ref('fct_cold_scores') }}
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

rule_events as (
    select * from {{ ref('int_last_rule_events') }}
),

tickets as (
    select * from {{ ref('stg_app__support_tickets') }}
),

feedback as (
    select * from {{ ref('stg_app__product_feedback') }}
    where feature_asked_for is not null
),

last_items as (
    select
        lead_id,
        max(case when rule = 'product' then item end) as last_product_viewed,
        max(case when rule = 'cart' then item end) as cart_item
    from rule_events
    group by lead_id
),

last_tickets as (
    select * from tickets
    where true
    qualify row_number() over (
        partition by lead_id
        order by opened_at desc nulls last, ticket_id desc nulls last
    ) = 1
),

last_wishes as (
    select * from feedback
    where true
    qualify row_number() over (
        partition by lead_id
        order by given_at desc nulls last, feedback_id desc nulls last
    ) = 1
),

lead_ids as (
    select lead_id from leads
    union distinct
    select lead_id from scores
),

context as (
    select
        -- ids
        lead_ids.lead_id,

        -- strings
        last_items.last_product_viewed,
        last_wishes.feature_asked_for,
        last_wishes.survey as feature_asked_in,
        last_tickets.category as last_ticket_subject,
        leads.plan,
        leads.locale,
        leads.country,
        leads.first_name,
        last_items.cart_item,
        nullif(
            trim(
                {%- for signal in score_signals() %}
                case
                    when scores.{{ signal }}_points >= 5
                        then
                            '{{ signal }} '
                            || cast(cast(round(scores.{{ signal }}_points) as bigint) as {{ dbt.type_string() }})
                            || ', '
                    else ''
                end
                {{ '|| ' if not loop.last }}
                {%- endfor %}, ', '
            ),
            ''
        ) as score_reasons,
        scores.segment,

        -- numerics
        scores.cold_score,

        -- dates
        cast(last_tickets.opened_at as date) as last_ticket_on,
        cast(activity.last_key_action_at as date) as last_key_action_on,
        cast(activity.last_purchase_at as date) as last_purchase_on,
        leads.renewal_on
    from lead_ids
    left join leads on lead_ids.lead_id = leads.lead_id
    left join scores on lead_ids.lead_id = scores.lead_id
    left join activity on lead_ids.lead_id = activity.lead_id
    left join last_items on lead_ids.lead_id = last_items.lead_id
    left join last_tickets on lead_ids.lead_id = last_tickets.lead_id
    left join last_wishes on lead_ids.lead_id = last_wishes.lead_id
)

select * from context
