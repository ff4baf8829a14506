with

{{ nothing_bought_since('pricing') }},

{{ offered_by_rule('pricing_viewers', hourly=true) }}

select * from offered
