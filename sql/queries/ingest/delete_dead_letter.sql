-- It could be read in the end, and is an element now.
delete from {{ raw }}.dead_letters
where landing_file = $landing_file and line_number = $line_number and element_number = $element_number
