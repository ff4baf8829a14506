{% from "macros/people.jinja" import holding_back with context -%}
-- Batches that still hold something to send: this run's, and what earlier runs were refused for now, unless whoever
-- refused asked to wait longer.
select
    messages.batch_id,
    count(*) as message_count
from {{ state }}.messages as messages
where
    messages.campaign_id = $campaign_id
    and messages.channel = $channel
    and messages.status = 'planned'
    and not exists (
        select 1
        from {{ state }}.decisions as decisions
        where
            decisions.message_id = messages.message_id
            and {{ holding_back("decisions", "$now") | indent(12) }}
    )
group by messages.batch_id
order by messages.batch_id
