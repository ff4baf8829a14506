{# A quoted, lower-cased SQL list of event types: from the environment variable if that is set, else from the dbt var. #}
{% macro event_types(variable, environment_variable=none) -%}
    {{ listed_event_types(variable, environment_variable) | join(', ') }}
{%- endmacro %}


{# The same, as a list of quoted names. #}
{% macro listed_event_types(variable, environment_variable=none) -%}
    {%- set text = env_var(environment_variable, '') if execute and environment_variable else '' -%}
    {%- set quoted = [] -%}
    {%- for event_type in (text.split(',') if text else var(variable)) -%}
        {%- do quoted.append("'" ~ dbt.escape_single_quotes(event_type | trim | lower) ~ "'") -%}
    {%- endfor -%}
    {{ return(quoted) }}
{%- endmacro %}


{#
  What an event of the company's log says about the lead:
    log_in, key_action    proof of life, the only kinds that count as re-activation
    seen                  did something in the product; keeps a lead warm
    email_click/_open     engagement that another mailing tool wrote into the log; not life in the product
    passive               happened to the lead; says nothing
  Passive wins over every other list, so that taking an event out of the life signs needs one setting only.
  Compared name by name: of a long `in` DuckDB makes a join, which costs eight times as much over a log.
#}
{% macro event_kind(event_type) -%}
    case lower(trim({{ event_type }}))
        {%- for kind, variable, environment_variable in [
            ('passive', 'rekindle__passive_events', 'REKINDLE_PASSIVE_EVENTS'),
            ('log_in', 'rekindle__login_events', 'REKINDLE_LOGIN_EVENTS'),
            ('key_action', 'rekindle__key_action_events', 'REKINDLE_KEY_ACTION_EVENTS'),
            ('email_click', 'rekindle__email_click_events', none),
            ('email_open', 'rekindle__email_open_events', none),
        ] %}
        {%- for name in listed_event_types(variable, environment_variable) %}
        when {{ name }} then '{{ kind }}'
        {%- endfor %}
        {%- endfor %}
        else 'seen'
    end
{%- endmacro %}
