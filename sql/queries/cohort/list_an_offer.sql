{% from "macros/offers.jinja" import offers with context -%}
-- Whether anybody offers themselves: else the years of earlier entries need not be looked through.
select offered.lead_id
from (
    {{ offers() | indent }}
) as offered
order by offered.lead_id
limit 1
