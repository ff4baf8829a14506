"""What one client may ask in a minute, and the headers of every answer."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rekindle.clock import SteppedClock
from rekindle.identity import address_hash
from rekindle.receiver.limits import MOST_CLIENTS, ClientRates

HASH = address_hash("ada@example.com")
WRITE_KEY = {"Authorization": "Basic " + base64.b64encode(b"write-key:").decode()}


@pytest.fixture
def machine_clock(stepped_clock: SteppedClock) -> SteppedClock:
    return stepped_clock


def test_a_client_gets_its_share_and_waits_for_more(machine_clock: SteppedClock) -> None:
    rates = ClientRates(60, machine_clock)
    assert [rates.seconds_to_wait("203.0.113.1") for _ in range(60)] == [0] * 60
    wait = rates.seconds_to_wait("203.0.113.1")
    assert 1 <= wait <= 60
    # Others are not held up
    assert rates.seconds_to_wait("203.0.113.2") == 0
    machine_clock.step_to(machine_clock.now() + timedelta(seconds=wait))
    assert rates.seconds_to_wait("203.0.113.1") == 0
    assert rates.seconds_to_wait("203.0.113.1") > 0
    machine_clock.step_to(machine_clock.now() + timedelta(minutes=1))
    assert [rates.seconds_to_wait("203.0.113.1") for _ in range(61)] == [0] * 60 + [1]


def test_the_addresses_of_one_subscriber_count_together(machine_clock: SteppedClock) -> None:
    rates = ClientRates(1, machine_clock)
    assert rates.seconds_to_wait("2001:db8:1:2::1") == 0
    assert rates.seconds_to_wait("2001:db8:1:2:ffff::9") > 0
    assert rates.seconds_to_wait("2001:db8:1:3::1") == 0


def test_zero_limits_nothing_and_memory_is_bounded(machine_clock: SteppedClock) -> None:
    assert {ClientRates(0, machine_clock).seconds_to_wait("a") for _ in range(5)} == {0}
    own = ClientRates(1, machine_clock)
    assert {own.seconds_to_wait(address) for address in ("127.0.0.1", "::1") * 3} == {0}
    rates = ClientRates(1, machine_clock)
    for number in range(MOST_CLIENTS + 10):
        rates.seconds_to_wait(f"client {number}")
    assert len(rates._buckets) == MOST_CLIENTS


def test_pages_are_limited_and_what_must_always_work_is_not(desk: Any) -> None:
    client = desk.start(page_requests_per_minute=3, tracking_requests_per_minute=2)
    stop = "/u/" + desk.tokens.unsubscribe("m", HASH, "email", "marketing")
    click = "/c/" + desk.tokens.click("m", "https://shop.example.com/")
    assert [client.get(click).status_code for _ in range(5)] == [302, 302, 302, 429, 429]
    refused = client.get(click)
    assert int(refused.headers["retry-after"]) >= 1
    assert "location" not in refused.headers
    # One-click unsubscribes of a mail program, forged webhooks and the probes of a load balancer go on
    assert {client.post(stop).status_code for _ in range(10)} == {200}
    assert {client.post("/webhooks/sendgrid/events", content=b"[]").status_code for _ in range(10)} == {403}
    assert {client.get("/healthz").status_code for _ in range(10)} == {200}
    # The product's calls have a share of their own
    call = {"userId": "u", "event": "e"}
    assert [client.post("/v1/track", json=call, headers=WRITE_KEY).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/nowhere"),
        ("POST", "/v1/track"),
        ("POST", "/v1/leads"),
        ("POST", "/webhooks/twilio/status"),
        ("DELETE", "/v1/track"),
        ("GET", "/u/broken"),
    ],
)
def test_every_answer_has_the_careful_headers(desk: Any, method: str, path: str) -> None:
    headers = desk.client.request(method, path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers and "set-cookie" not in headers


def test_a_client_without_an_address_is_served(tmp_path: Path) -> None:
    """A server on a Unix socket knows no address."""
    assert ClientRates(1).seconds_to_wait("") == 0


def test_the_metrics_count_by_route_and_never_by_token(desk: Any) -> None:
    client = desk.start(page_requests_per_minute=3)
    click = "/c/" + desk.tokens.click("m", "https://shop.example.com/")
    for _ in range(4):
        client.get(click)
    client.post("/webhooks/sendgrid/events", content=b"[]")
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    for line in (
        'rekindle_receiver_requests_total{route="/c/{token}",status="302"} 3.0',
        'rekindle_receiver_requests_total{route="none",status="429"} 2.0',
        'rekindle_receiver_landed_total{stream="link_clicks"} 3.0',
        'rekindle_receiver_refused_total{reason="signature_refused",stream="sendgrid_events"} 1.0',
    ):
        assert line in answer.text
    assert click.removeprefix("/c/") not in answer.text
