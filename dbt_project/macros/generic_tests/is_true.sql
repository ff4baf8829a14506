{# Fails for every row of the model for which the expression is not true. #}
{% test is_true(model, expression) %}
    select *
    from {{ model }}
    where not coalesce({{ expression }}, false)
{% endtest %}
