create table {{ target }} as
select *
from read_csv(
    $path,
    auto_detect = false,
    header = true,
    delim = $separator,
    quote = '"',
    escape = '"',
    columns = { {%- for position in range(width) %}'c{{ position }}': 'varchar'{{ ", " if not loop.last }}{% endfor -%} },
    strict_mode = true,
    compression = $compression
)
