{# Every row whose key an earlier kept row already has. #}
create table {{ target }} as
select
    source_row,
    {{ key }} as value
from {{ identified }}
where {{ key }} in (select {{ key }} from {{ identified }} group by {{ key }} having count(*) > 1)
qualify row_number() over (partition by {{ key }} order by source_row) > 1
