{# The rules that make a click or an open less likely to be a person's. Each is a row of the seed engagement_rules and a column `is_<rule>` of int_engagements_scored. #}
{% macro engagement_rules() -%}
    {{ return([
        'head_request', 'no_user_agent', 'scanner_user_agent', 'scanner_network', 'machine_open', 'software_at_ingest',
        'too_soon', 'several_links_at_once', 'honeypot', 'beside_honeypot', 'no_open',
    ]) }}
{%- endmacro %}


{# How the address of the invisible link of an e-mail ends; `rekindle.events.bots` writes it. #}
{% macro honeypot_ending() -%}
    '#rk-unseen'
{%- endmacro %}
