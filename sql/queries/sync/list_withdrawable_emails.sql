{% from "macros/opt_outs.jinja" import returns, said_no with context -%}
-- Addresses we put on SendGrid's list whose person asked for messages again, and has not said no since by any channel.
with said_no as (
    {{ said_no() }}
),

returns as (
    {{ returns() }}
),

returned as (
    select distinct
        contacts.email,
        contacts.email_hash,
        contacts.phone_hash,
        returns.returned_at
    from {{ state }}.opt_out_pushes as pushes
    inner join {{ activation }}.sync_lead_contacts as contacts on pushes.address_hash = contacts.email_hash
    inner join returns on contacts.email_hash = returns.address_hash
    where
        pushes.provider = 'sendgrid'
        and pushes.provider_list = $provider_list
        and pushes.withdrawn_at is null
        and returns.returned_at > pushes.pushed_at
),

said_no_again as (
    select returned.email_hash
    from returned
    inner join said_no on returned.email_hash = said_no.address_hash
    union all
    select returned.email_hash
    from returned
    inner join said_no on returned.phone_hash = said_no.address_hash
    where said_no.suppressed_at > returned.returned_at
)

select distinct
    returned.email as address,
    returned.email_hash as address_hash
from returned
left join said_no_again on returned.email_hash = said_no_again.email_hash
where said_no_again.email_hash is null
order by returned.email_hash asc
