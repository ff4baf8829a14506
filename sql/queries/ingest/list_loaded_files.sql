select landing_file
from {{ raw }}.landing_files
