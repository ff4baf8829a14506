{% set last = requests | default("1") | int -%}
-- All that the attempt has under way was accepted in a few requests: no need to name each. A request has the messages
-- after those of the one before, up to its last.
update {{ state }}.messages
set
    status = 'accepted',
    status_rank = 50,
    lease_expires_at = null,
    accepted_at = $now,
    provider_message_id = {% if last == 1 %}$provider_message_id_1{% else %}case
        {%- for request in range(1, last) %}
        when message_id <= $last_message_id_{{ request }} then $provider_message_id_{{ request }}
        {%- endfor %}
        else $provider_message_id_{{ last }}
    end{% endif %}
where batch_id = $batch_id and attempt_id = $attempt_id and status = 'attempting'
