{# The copy keeps the file's order (preserve_insertion_order), so row 0 is the line after the header. #}
create view {{ target }} as
select
    rowid + 2 as source_row,
    *
from {{ copied }}
