{% from "macros/requests.jinja" import proof_of_its_request -%}
-- All that the attempt has under way was accepted in a few requests: no need to name each.
update {{ state }}.messages
set
    status = 'accepted',
    status_rank = 50,
    lease_expires_at = null,
    accepted_at = $now,
    provider_message_id = {{ proof_of_its_request(requests | default("1") | int) | indent(4) }}
where batch_id = $batch_id and attempt_id = $attempt_id and status = 'attempting'
