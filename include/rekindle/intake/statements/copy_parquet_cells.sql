create table {{ target }} as
select
    {% for cell in cells %}
    {{ cell }} as c{{ loop.index0 }},
    {% endfor %}
    file_row_number + 1 as source_row
from read_parquet($path, file_row_number = true, hive_partitioning = false)
