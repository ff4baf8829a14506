{# A sha1 in hex, cut and marked as RFC 9562 asks of a uuid of version 5. #}
create macro uuid5_of_digest(digest) as concat(
    substr(digest, 1, 8), '-', substr(digest, 9, 4), '-5', substr(digest, 14, 3), '-',
    translate(substr(digest, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab'), substr(digest, 18, 3), '-',
    substr(digest, 21, 12)
)
