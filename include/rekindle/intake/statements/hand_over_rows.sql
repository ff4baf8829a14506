{# COPY binds no parameters; the instants and the path are ours. #}
copy (
    select {{ columns }}
    from {{ rows }}
    where {{ existed_at }} < timestamp {{ until | literal }}
    {% if since %}
        and {{ existed_at }} >= timestamp {{ since | literal }}
    {% endif %}
    order by {{ order }}
) to {{ path | literal }} (format parquet, compression zstd)
