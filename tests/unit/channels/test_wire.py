from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rekindle.channels.wire import retry_after_seconds, seconds_until_more

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:10 GMT"}, 10.0),
        ({"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:10 -0000"}, 10.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "soon", "X-RateLimit-Reset": str(NOW.timestamp() + 4)}, 4.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "1e12"}, 86_400.0),
        ({"X-RateLimit-Reset": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, wait):
    assert retry_after_seconds(headers, NOW) == wait


@pytest.mark.parametrize(
    ("remaining", "reset", "wait"),
    [
        ("0", str(NOW.timestamp() + 7), 7.0),
        (" 0 ", str(NOW.timestamp() - 7), 0.0),
        ("-1", str(NOW.timestamp() + 7), 7.0),
        ("1", str(NOW.timestamp() + 7), None),  # one is left: nobody needs to wait
        ("0", "soon", None),
        ("none", str(NOW.timestamp() + 7), None),
    ],
)
def test_an_acceptance_says_when_there_is_more(remaining, reset, wait):
    headers = {"X-RateLimit-Remaining": remaining, "x-ratelimit-reset": reset}
    assert seconds_until_more(headers, NOW) == wait
    assert seconds_until_more({"X-RateLimit-Reset": reset}, NOW) is None
