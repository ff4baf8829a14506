with

rule_events as (
    select * from {{ ref('int_last_rule_events') }}
),

-- Who began again since is a subscriber.
candidates as (
    select
        cancelled.lead_id,
        cancelled.occurred_at as happened_at
    from rule_events as cancelled
    left join rule_events as resumed
        on
            cancelled.lead_id = resumed.lead_id
            and resumed.rule = 'subscription'
    where
        cancelled.rule = 'cancellation'
        and (resumed.occurred_at is null or resumed.occurred_at < cancelled.occurred_at)
),

{{ offered_by_rule('cancelled_subscriptions') }}

select * from offered
