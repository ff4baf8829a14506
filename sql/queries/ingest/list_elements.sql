select
    line_number,
    element_number
from {{ raw }}.webhook_elements
where landing_file = $landing_file
