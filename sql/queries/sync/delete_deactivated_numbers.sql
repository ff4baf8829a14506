delete from {{ state }}.deactivated_numbers
where true
