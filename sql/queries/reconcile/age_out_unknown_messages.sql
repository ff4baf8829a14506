-- Nobody ever told. It stays counted as perhaps sent and is not sent again; the journey goes on.
update {{ state }}.messages
set
    status = 'aged_out',
    status_rank = 40,
    settled_at = $now
where status = 'unknown' and attempting_at <= $unknown_since
