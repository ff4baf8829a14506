{#
  Names the rows that a failed test found, in dbt's own output: of tests of seeds, which hold rules, and of singular
  tests, which select ids and numbers. Generic tests of other tables may hold addresses and tell nothing.
#}
{% macro tell_failures(results) -%}
    {%- for result in results if execute and result.status | string == 'fail' -%}
        {%- set elsewhere = [] -%}
        {%- for parent in result.node.depends_on.nodes if not parent.startswith('seed.') -%}
            {%- do elsewhere.append(parent) -%}
        {%- endfor -%}
        {%- if not elsewhere or not result.node.test_metadata -%}
            {%- set found = run_query('select * from (' ~ result.node.compiled_code ~ ') as failures limit 5') -%}
            {%- for row in found.rows -%}
                {%- set cells = [] -%}
                {%- for name in found.column_names -%}
                    {%- do cells.append(name ~ '=' ~ row[name]) -%}
                {%- endfor -%}
                {%- do print(result.node.name ~ ': ' ~ cells | join(', ')) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
