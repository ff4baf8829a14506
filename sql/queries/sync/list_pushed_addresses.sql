select
    address_hash,
    max(pushed_at) as pushed_at
from {{ state }}.opt_out_pushes
where provider = $provider and provider_list = $provider_list
group by address_hash
