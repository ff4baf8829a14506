with

{{ nothing_bought_since('cart') }},

{{ offered_by_rule('abandoned_carts', hourly=true) }}

select * from offered
