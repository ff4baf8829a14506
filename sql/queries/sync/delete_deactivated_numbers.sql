delete from {{ state }}.deactivated_numbers
