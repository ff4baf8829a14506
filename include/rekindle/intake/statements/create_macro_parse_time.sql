{# The instant a cell names, UTC without a zone; null when it names none or one before 1970.
   The shape is checked first because a cast alone also takes 'epoch', 'infinity' and years of one digit, and
   timestamptz is used because a cast to timestamp ignores the offset. Eight digits are a date: as epoch
   seconds they would lie in 1970. #}
create macro parse_time(cell) as case
    when regexp_full_match(cell, '\d{8}')
        then nullif(greatest(try_strptime(cell, '%Y%m%d'), timestamp '1969-12-31'), timestamp '1969-12-31')
    when regexp_full_match(cell, '\d{9,10}(\.\d*)?')
        then make_timestamp(cast(cast(cell as decimal(28, 6)) * 1000000 as bigint))
    when regexp_full_match(cell, '\d{12,13}(\.\d*)?')
        then make_timestamp(cast(cast(cell as decimal(28, 6)) * 1000 as bigint))
    when regexp_full_match(
        cell,
        '(19[7-9]\d|[2-9]\d{3})-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?( ?([Zz]|UTC|[+-]\d{2}(:?\d{2})?))?)?'
    )
        then timezone(
            'UTC',
            try_cast(
                regexp_replace(replace(replace(upper(cell), ',', '.'), 'UTC', 'Z'), ' ([-+Z])', '\1') as timestamptz
            )
        )
end
