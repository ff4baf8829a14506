delete from {{ state }}.contact_checks
where channel = $channel and checked_at <= $valid_since
