select max({{ existed_at }}) filter (isfinite({{ existed_at }})) from {{ rows }}
