-- What may leave of the batch now, read before the re-check has its say, so that composing begins while it runs.
with sign_ups as (
    -- the newest sign-up of an address that waits to be confirmed
    select
        opt_ins.address_hash,
        opt_ins.channel,
        opt_ins.confirm_token,
        row_number() over (
            partition by opt_ins.address_hash, opt_ins.channel
            order by opt_ins.received_at desc, opt_ins.opt_in_id desc
        ) as newness
    from {{ raw }}.opt_ins as opt_ins
    where opt_ins.confirm_token is not null
)

select
    messages.message_id,
    messages.entry_id,
    messages.campaign_id,
    messages.lead_id,
    messages.step_id,
    messages.channel,
    messages.address_hash,
    messages.expires_at,
    messages.offer_ends_at,
    contacts.email,
    contacts.phone,
    contacts.first_name,
    contacts.plan,
    contacts.last_key_action_on,
    {%- if context | default("") %}
    context.country,
    context.last_product_viewed,
    context.cart_item,
    context.feature_asked_for,
    context.feature_asked_in,
    context.last_ticket_subject,
    context.last_ticket_on,
    context.last_purchase_on,
    context.renewal_on,
    context.score_reasons,
    context.cold_score,
    {%- endif %}
    sign_ups.confirm_token
from {{ state }}.messages as messages
inner join {{ activation }}.sync_lead_contacts as contacts on messages.lead_id = contacts.lead_id
left join sign_ups
    on
        messages.address_hash = sign_ups.address_hash
        and messages.channel = sign_ups.channel
        and sign_ups.newness = 1
{%- if context | default("") %}
-- joined only for templates that say something of it: it is computed from the whole log
left join {{ activation }}.sync_lead_context as context on messages.lead_id = context.lead_id
{%- endif %}
where
    messages.batch_id = $batch_id
    and messages.status = 'planned'
    and messages.arm = 'treatment'
    and messages.window_opens_at <= $now
    and messages.expires_at > $now
order by messages.message_id
