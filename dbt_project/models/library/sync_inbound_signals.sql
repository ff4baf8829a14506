{#
  A view without an upper bound: `listen` reads what arrived five minutes ago. Whoever reads it says up to when.
#}
with

elements as (
    select * from {{ ref('stg_raw__webhook_elements') }}
),

message_events as (
    select * from {{ ref('stg_state__message_events') }}
),

consents as (
    select * from {{ ref('stg_state__consents') }}
    where action = 'granted' and source != 'users' and lead_id is not null
),

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
),

leads as (
    select * from {{ ref('stg_app__leads') }}
),

persons as (
    select * from {{ ref('int_leads_resolved_to_persons') }}
),

last_look as (
    select * from {{ ref('int_last_look') }}
),

texts as (
    select
        elements.event_key,
        trim({{ json_text('elements.payload', ['From']) }}) as phone,
        upper(
            trim({{ dbt.split_part(
                "trim(translate(replace(" ~ json_text('elements.payload', ['Body']) ~ ", chr(10), ' '), '.,;:!?\"()', ''))",
                "' '", 1
            ) }})
        ) as name,
        elements.received_at as happened_at
    from elements
    inner join message_events on elements.event_key = message_events.event_key
    where
        elements.stream = 'twilio_inbound'
        -- STOP is an opt-out, whatever a campaign would like to hear in it
        and message_events.event_type not in ('unsubscribed', 'complained')
),

sign_ups as (
    select * from {{ ref('stg_raw__opt_ins') }}
    where is_double_opt_in and channel = 'email'
),

signals as (
    select
        leads.lead_id,
        'keyword' as kind,
        texts.name,
        texts.happened_at
    from texts
    inner join leads on texts.phone = leads.phone
    union all
    select
        lead_id,
        'opt_in' as kind,
        topic as name,
        occurred_at as happened_at
    from consents
    union all
    -- The form is sent and waits for its confirmation: this name is no topic of a form's, only the campaign that asks.
    select
        coalesce(leads.lead_id, 'sign_up:' || sign_ups.address_hash) as lead_id,
        'opt_in' as kind,
        'confirmation' as name,
        sign_ups.consented_at as happened_at
    from sign_ups
    left join leads on lower(sign_ups.address) = leads.email
    union all
    select
        {{ json_text('payload', ['userId']) }} as lead_id,
        'group' as kind,
        {{ json_text('payload', ['groupId']) }} as name,
        received_at as happened_at
    from elements
    where
        stream = 'app_events'
        and {{ json_text('payload', ['groupId']) }} is not null
        and coalesce({{ json_text('payload', ['type']) }}, 'group') = 'group'
    union all
    select
        lead_id,
        'webhook' as kind,
        case
            when event_type in ('page', 'screen')
                then coalesce({{ json_text('properties', ['name']) }}, event_type)
            else event_type
        end as name,
        occurred_at as happened_at
    from arrivals
    where source_file like 'app_events/%'
),

-- Told twice is told once.
inbound as (
    select
        signals.lead_id,
        coalesce(persons.person_id, signals.lead_id) as person_id,
        signals.kind,
        signals.name,
        signals.happened_at,
        last_look.looked_as_of as scored_as_of
    from signals
    left join persons on signals.lead_id = persons.lead_id
    cross join last_look
    where
        signals.lead_id is not null
        and signals.name is not null
        and signals.name != ''
        and signals.happened_at
        >= {{ days_after('last_look.looked_as_of', '-' ~ var('rekindle__inbound_signal_days')) }}
    group by
        signals.lead_id, coalesce(persons.person_id, signals.lead_id), signals.kind, signals.name, signals.happened_at,
        last_look.looked_as_of
)

select * from inbound
