select
    landing_file,
    line_number,
    element_number
from {{ raw }}.dead_letters
where $reason is null or reason = $reason
