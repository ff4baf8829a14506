{#
  Everything is counted on the day it happened. A day on which nothing happened to an arm of a campaign has no row.
#}
with

entries as (
    select * from {{ ref('fct_journey_entries') }}
),

messages as (
    select * from {{ ref('fct_messages') }}
),

{% set steps = [
    ('entries', 'entered', 'entered_at'),
    ('messages', 'messages_accepted', 'accepted_at'),
    ('messages', 'messages_delivered', 'delivered_at'),
    ('messages', 'messages_clicked', 'first_clicked_at'),
    ('messages', 'messages_unsubscribed', 'unsubscribed_at'),
    ('entries', 'exited', 'exited_at'),
] %}

dated as (
    {% for relation, step, instant in steps %}
    select
        campaign_id,
        arm,
        cast({{ instant }} as date) as happened_on,
        '{{ step }}' as step
    from {{ relation }}
    where {{ instant }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

counted as (
    select
        {% for relation, step, instant in steps %}
        {{ count_if("step = '" ~ step ~ "'") }} as {{ step }},
        {% endfor %}
        campaign_id,
        arm,
        happened_on
    from dated
    group by campaign_id, arm, happened_on
),

with_active as (
    select
        *,
        cast(
            sum(entered - exited) over (
                partition by campaign_id, arm
                order by happened_on asc nulls last
                rows between unbounded preceding and current row
            ) as {{ dbt.type_bigint() }}
        ) as active_at_end_of_day
    from counted
)

select * from with_active
