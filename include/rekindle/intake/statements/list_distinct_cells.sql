select distinct
    {{ cell }} as cell,
    {{ country }} as country
from {{ given }}
where {{ cell }} is not null
