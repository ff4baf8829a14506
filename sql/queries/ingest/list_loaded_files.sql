-- Files of the landing zone (`stream/day/file`) of that day's folders and later ones, and every file of the inbox.
select landing_file
from {{ raw }}.landing_files
where
    stream like 'inbox/%'
    or substr(landing_file, length(stream) + 2, 10) >= $since_day
