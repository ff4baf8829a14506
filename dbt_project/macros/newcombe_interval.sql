{#
  One limit of the Wilson score interval of a proportion, 95 %:

      ( p + z²/2n  ±  z · sqrt( p(1−p)/n + z²/4n² ) )  /  ( 1 + z²/n )

  Wilson (1927), J. Am. Stat. Assoc. 22, 209–212. `side` is `lower` or `upper`. Null when nobody was tried.
#}
{% macro wilson_limit(successes, trials, side) -%}
    {%- set z = '1.959963984540054' -%}
    {%- set n = 'nullif(' ~ trials ~ ', 0)' -%}
    {%- set p = '(cast(' ~ successes ~ ' as ' ~ type_double() ~ ') / ' ~ n ~ ')' -%}
    (
        {{ p }} + {{ z }} * {{ z }} / (2.0 * {{ n }})
        {{ '-' if side == 'lower' else '+' }} {{ z }} * sqrt(
            {{ p }} * (1.0 - {{ p }}) / {{ n }} + {{ z }} * {{ z }} / (4.0 * {{ n }} * {{ n }})
        )
    ) / (1.0 + {{ z }} * {{ z }} / {{ n }})
{%- endmacro %}


{#
  One limit of the 95 % interval of the difference of two independent proportions, treatment − holdout: Newcombe's
  hybrid score interval, method 10, from the Wilson limits (l, u) of each proportion:

      lower = d − sqrt( (p1 − l1)² + (u2 − p2)² )        upper = d + sqrt( (u1 − p1)² + (p2 − l2)² )

  Newcombe (1998), "Interval estimation for the difference between independent proportions", Statistics in Medicine
  17, 873–890. Chosen because it stays inside [−1, 1] and is honest for small groups and for rates near zero, where
  the textbook interval (Wald) is not. Null while either group is empty.
#}
{% macro newcombe_limit(treatment_successes, treatment_trials, holdout_successes, holdout_trials, side) -%}
    {%- set p1 = '(cast(' ~ treatment_successes ~ ' as ' ~ type_double() ~ ') / nullif(' ~ treatment_trials ~ ', 0))' -%}
    {%- set p2 = '(cast(' ~ holdout_successes ~ ' as ' ~ type_double() ~ ') / nullif(' ~ holdout_trials ~ ', 0))' -%}
    {%- set other_side = 'upper' if side == 'lower' else 'lower' -%}
    {{ p1 }} - {{ p2 }} {{ '-' if side == 'lower' else '+' }} sqrt(
        power({{ p1 }} - {{ wilson_limit(treatment_successes, treatment_trials, side) }}, 2)
        + power({{ p2 }} - {{ wilson_limit(holdout_successes, holdout_trials, other_side) }}, 2)
    )
{%- endmacro %}
