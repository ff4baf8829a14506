{# uuid5 in the product's namespace: equals rekindle.identity.stable_id for the same parts joined with `|`. #}
create macro stable_id(joined) as uuid5_of_digest(sha1(unhex({{ namespace | literal }}) || encode(joined)))
