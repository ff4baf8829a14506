{# A quoted, lower-cased SQL list of event types: from the environment variable if that is set, else from the dbt var. #}
{% macro event_types(variable, environment_variable=none) -%}
    {%- set text = env_var(environment_variable, '') if execute and environment_variable else '' -%}
    {%- for event_type in (text.split(',') if text else var(variable)) -%}
        '{{ dbt.escape_single_quotes(event_type | trim | lower) }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#
  What an event of the company's log says about the lead:
    log_in, key_action    proof of life, the only kinds that count as re-activation
    seen                  did something in the product; keeps a lead warm
    email_click/_open     engagement that another mailing tool wrote into the log; not life in the product
    passive               happened to the lead; says nothing
  Passive wins over every other list, so that taking an event out of the life signs needs one setting only.
#}
{% macro event_kind(event_type) -%}
    case
        when lower(trim({{ event_type }})) in ({{ event_types('rekindle__passive_events', 'REKINDLE_PASSIVE_EVENTS') }})
            then 'passive'
        when lower(trim({{ event_type }})) in ({{ event_types('rekindle__login_events', 'REKINDLE_LOGIN_EVENTS') }})
            then 'log_in'
        when
            lower(trim({{ event_type }}))
            in ({{ event_types('rekindle__key_action_events', 'REKINDLE_KEY_ACTION_EVENTS') }})
            then 'key_action'
        when lower(trim({{ event_type }})) in ({{ event_types('rekindle__email_click_events') }}) then 'email_click'
        when lower(trim({{ event_type }})) in ({{ event_types('rekindle__email_open_events') }}) then 'email_open'
        else 'seen'
    end
{%- endmacro %}
