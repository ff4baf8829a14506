update {{ state }}.opt_out_pushes
set withdrawn_at = $now
where
    address_hash = $address_hash
    and provider = 'sendgrid'
    and provider_list = $provider_list
    and withdrawn_at is null
