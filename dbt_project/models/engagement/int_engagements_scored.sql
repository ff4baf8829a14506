{#
  What arrived is kept as it arrived (rekindle_raw.webhook_elements, rekindle_state.message_events); this is a judgement
  of it, made anew each time it is read, so that a changed factor or a delivery heard of later changes it. A view without
  as_of: whoever reads it says up to when.
#}
with

message_events as (
    select * from {{ source('rekindle_state', 'message_events') }}
    where message_id is not null and event_type in ('clicked', 'opened', 'delivered')
),

elements as (
    select * from {{ source('rekindle_raw', 'webhook_elements') }}
    where stream in ('link_clicks', 'sendgrid_events')
),

signatures as (
    select * from {{ ref('scanner_signatures') }}
),

factors as (
    select
        {% for rule in ['a_click', 'an_open'] + engagement_rules() %}
        coalesce(max(case when rule = '{{ rule }}' then factor end), 1.0) as {{ rule }},
        {% endfor %}
        count(*) as rule_count
    from {{ ref('engagement_rules') }}
),

engagements as (
    select * from message_events
    where event_type in ('clicked', 'opened')
),

-- SendGrid tells when it delivered. Twilio's callback has no instant of its own: it may come after the click.
deliveries as (
    select
        message_id,
        min(occurred_at) as delivered_at
    from message_events
    where event_type = 'delivered' and provider = 'sendgrid'
    group by message_id
),

opened_messages as (
    select distinct message_id
    from message_events
    where event_type = 'opened'
),

-- Providers repeat themselves: the same event may have arrived several times.
payloads as (
    select
        engagements.event_key,
        min(elements.payload) as payload
    from engagements
    inner join elements on engagements.event_key = elements.event_key
    group by engagements.event_key
),

-- SendGrid's events and our own links tell the same in different words.
requests as (
    select
        event_key,
        lower(
            coalesce(
                {{ json_text('payload', ['useragent']) }}, {{ json_text('payload', ['headers', 'user-agent']) }}, ''
            )
        ) as user_agent,
        coalesce({{ json_text('payload', ['ip']) }}, {{ json_text('payload', ['remote']) }}, '') as network_address,
        coalesce({{ json_text('payload', ['url']) }}, {{ json_text('payload', ['token', 'destination']) }}) as link,
        upper({{ json_text('payload', ['method']) }}) as http_method,
        lower({{ json_text('payload', ['sg_machine_open']) }}) in ('true', '1') as is_machine_open
    from payloads
),

placed as (
    select
        engagements.event_key,
        engagements.message_id,
        engagements.event_type,
        engagements.occurred_at,
        requests.user_agent,
        requests.network_address,
        requests.link
    from engagements
    inner join requests on engagements.event_key = requests.event_key
    where engagements.event_type = 'clicked'
),

scanner_user_agents as (
    select distinct agents.user_agent
    from (select distinct user_agent from requests) as agents
    inner join signatures on agents.user_agent like '%' || signatures.pattern || '%'
    where signatures.kind = 'user_agent'
),

scanner_networks as (
    select distinct networks.network_address
    from (select distinct network_address from requests) as networks
    inner join signatures on networks.network_address like signatures.pattern || '%'
    where signatures.kind = 'network'
),

clicks_in_a_rush as (
    select clicks.event_key
    from placed as clicks
    inner join placed as neighbours
        on
            clicks.message_id = neighbours.message_id
            and neighbours.occurred_at
            between {{ seconds_after('clicks.occurred_at', -2) }} and {{ seconds_after('clicks.occurred_at', 2) }}
    group by clicks.event_key
    having count(distinct neighbours.link) >= 3
),

clicks_beside_the_honeypot as (
    select distinct clicks.event_key
    from placed as clicks
    inner join placed as trapped
        on
            clicks.message_id = trapped.message_id
            and clicks.user_agent = trapped.user_agent
            and clicks.network_address = trapped.network_address
            and clicks.event_key != trapped.event_key
            and trapped.occurred_at
            between {{ seconds_after('clicks.occurred_at', -60) }} and {{ seconds_after('clicks.occurred_at', 60) }}
    where trapped.link like '%' || {{ honeypot_ending() }}
),

judged as (
    select
        engagements.event_key,
        engagements.message_id,
        engagements.event_type,
        engagements.occurred_at,
        deliveries.delivered_at,
        coalesce(requests.http_method = 'HEAD', false) as is_head_request,
        coalesce(requests.user_agent = '', false) as is_no_user_agent,
        scanner_user_agents.user_agent is not null as is_scanner_user_agent,
        scanner_networks.network_address is not null as is_scanner_network,
        coalesce(requests.is_machine_open, false) or coalesce(engagements.detail = 'machine_open', false)
            as is_machine_open,
        not coalesce(engagements.is_human, true) as is_software_at_ingest,
        coalesce(engagements.occurred_at < {{ seconds_after('deliveries.delivered_at', 5) }}, false) as is_too_soon,
        clicks_in_a_rush.event_key is not null as is_several_links_at_once,
        coalesce(requests.link like '%' || {{ honeypot_ending() }}, false) as is_honeypot,
        clicks_beside_the_honeypot.event_key is not null as is_beside_honeypot,
        engagements.event_type = 'clicked' and opened_messages.message_id is null as is_no_open
    from engagements
    left join requests on engagements.event_key = requests.event_key
    left join deliveries on engagements.message_id = deliveries.message_id
    left join opened_messages on engagements.message_id = opened_messages.message_id
    left join scanner_user_agents on requests.user_agent = scanner_user_agents.user_agent
    left join scanner_networks on requests.network_address = scanner_networks.network_address
    left join clicks_in_a_rush on engagements.event_key = clicks_in_a_rush.event_key
    left join clicks_beside_the_honeypot on engagements.event_key = clicks_beside_the_honeypot.event_key
),

scored as (
    select
        judged.event_key,
        judged.message_id,
        judged.event_type,
        judged.occurred_at,
        judged.delivered_at,
        case judged.event_type when 'clicked' then factors.a_click else factors.an_open end
        {%- for rule in engagement_rules() %}
        * case when judged.is_{{ rule }} then factors.{{ rule }} else 1.0 end
        {%- endfor %} as human_probability,
        replace(
            trim(
                {%- for rule in engagement_rules() %}
                case when judged.is_{{ rule }} and factors.{{ rule }} < 1.0 then '{{ rule }} ' else '' end
                {{ '|| ' if not loop.last }}
                {%- endfor %}
            ),
            ' ', ', '
        ) as reasons
    from judged
    cross join factors
),

decided as (
    select
        *,
        human_probability >= {{ var('rekindle__human_probability') }} as is_human
    from scored
)

select * from decided
