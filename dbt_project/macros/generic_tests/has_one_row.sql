{# Fails for a relation that has no row, or more than one. #}
{% test has_one_row(model) %}
    select count(*) as row_count
    from {{ model }}
    having count(*) != 1
{% endtest %}
