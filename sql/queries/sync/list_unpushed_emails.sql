{% from "macros/opt_outs.jinja" import unpushed with context -%}
-- Addresses of whoever said no, by any channel, that SendGrid does not know of.
{{ unpushed("email", "email_hash", "phone_hash", provider="sendgrid", channel="email") }}
