{% from "macros/opt_outs.jinja" import unpushed with context -%}
-- Numbers of whoever said no, by any channel, that Twilio does not know of.
{{ unpushed("phone", "phone_hash", "email_hash", provider="twilio", channel="sms") }}
