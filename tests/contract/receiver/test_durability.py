"""What was acknowledged is in the landing zone, whatever happens to the process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rekindle.events import list_landing_files, read_landing_file
from rekindle.identity import address_hash
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import EventType, Stream

CALLERS = 12


def landed(receiver: Any) -> list[Any]:
    return [read_landing_file(path, receiver.landing) for path in list_landing_files(receiver.landing)]


def call_until_dead(receiver: Any, caller: int, start: int, acknowledged: list[str]) -> None:
    """One provider's connection: events on even turns, app calls and unsubscribes in between; stops when cut off."""
    tokens = TokenSigner(["token-key-of-the-test"])
    with httpx.Client(base_url=receiver.url, timeout=5) as client:
        for turn in range(start, start + 100_000):
            name = f"{caller}-{turn}"
            try:
                if turn % 4 == 1:
                    call = {"userId": "u", "event": "e", "messageId": name}
                    answer = client.post("/v1/track", json=call, auth=("write-key", ""))
                elif turn % 4 == 3:
                    answer = client.post(f"/u/{tokens.unsubscribe(name, address_hash(name), 'email', 'marketing')}")
                else:
                    body = json.dumps(
                        [{"event": "delivered", "timestamp": 1772380800, "email": "a@x.example", "rk_message_id": name}]
                    ).encode()
                    answer = client.post("/webhooks/sendgrid/events", content=body, headers=receiver.sign(body))
            except httpx.TransportError:
                return
            assert answer.status_code == 200
            acknowledged.append(name)


@pytest.mark.slow
def test_killed_under_load_it_has_every_acknowledged_request(
    receiver_process: Any, wait_until: Callable[..., None]
) -> None:
    acknowledged: list[str] = []
    for round_number in range(3):
        # Given callers that keep a receiver busy
        callers = [
            threading.Thread(
                target=call_until_dead, args=(receiver_process, caller, round_number * 1_000_000, acknowledged)
            )
            for caller in range(CALLERS)
        ]
        for thread in callers:
            thread.start()
        enough = len(acknowledged) + 60
        wait_until(lambda enough=enough: len(acknowledged) > enough)
        time.sleep(0.31 * round_number)
        # When it is killed in the middle of it
        receiver_process.kill()
        for thread in callers:
            thread.join(20)
        # Then whatever it had said yes to is there, and nothing that can not be read
        files = landed(receiver_process)
        found = {event.message_id for file in files for event in file.message_events}
        found |= {event.event_id for file in files for event in file.app_events}
        assert set(acknowledged) <= found
        assert [letter for file in files for letter in file.dead_letters] == []
        # And it starts again over what it left
        receiver_process.start()
    assert len(acknowledged) == len(set(acknowledged))
    assert "Application shutdown complete" in receiver_process.stop()


def test_concurrent_requests_share_a_flush(receiver_process: Any) -> None:
    def call(number: int) -> None:
        body = json.dumps(
            [{"event": "open", "timestamp": 1772380800, "email": "a@x.example", "rk_message_id": f"m-{number}"}]
        ).encode()
        answer = httpx.post(
            f"{receiver_process.url}/webhooks/sendgrid/events", content=body, headers=receiver_process.sign(body)
        )
        assert answer.status_code == 200

    callers = [threading.Thread(target=call, args=(number,)) for number in range(60)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(20)
    files = landed(receiver_process)
    assert {event.message_id for file in files for event in file.message_events} == {f"m-{n}" for n in range(60)}
    assert len(files) <= 60


def test_a_polite_stop_answers_first(receiver_process: Any) -> None:
    with httpx.Client(base_url=receiver_process.url) as client:
        assert client.post("/v1/track", json={"userId": "u", "event": "e"}, auth=("write-key", "")).status_code == 200
    assert "Application shutdown complete" in receiver_process.stop()
    (file,) = landed(receiver_process)
    assert file.stream is Stream.APP_EVENTS


def test_over_the_wire_no_get_unsubscribes_and_no_log_tells(receiver_process: Any) -> None:
    tokens = TokenSigner(["token-key-of-the-test"])
    stop = tokens.unsubscribe("m-1", address_hash("ada@example.com"), "email", "marketing")
    click = tokens.click("m-1", "https://shop.example.com/?who=ada@example.com")
    with httpx.Client(base_url=receiver_process.url, headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"}) as client:
        for method in ("GET", "HEAD", "OPTIONS", "GET"):
            assert client.request(method, f"/u/{stop}").status_code in (200, 204)
        assert client.head(f"/c/{click}").status_code == 200
        answer = client.get(f"/c/{click}")
        assert (answer.status_code, answer.headers["location"]) == (
            302,
            "https://shop.example.com/?who=ada@example.com",
        )
        assert "server" not in answer.headers
        assert client.get("/c/nonsense").status_code == 404
        forged = b'[{"email":"ada@example.com"}]'
        assert client.post("/webhooks/sendgrid/events", content=forged).status_code == 403
        assert EventType.UNSUBSCRIBED not in {
            event.event_type for file in landed(receiver_process) for event in file.message_events
        }
        one_click = client.post(f"/u/{stop}", files={"List-Unsubscribe": (None, "One-Click")})
        assert (one_click.status_code, one_click.is_redirect) == (200, False)
    events = [event for file in landed(receiver_process) for event in file.message_events]
    assert sorted(
        (event.event_type, event.is_human, event.detail) for event in events if event.is_human is not None
    ) == [
        (EventType.CLICKED, False, "shop.example.com"),
        (EventType.CLICKED, True, "shop.example.com"),
    ]
    assert [(event.detail, event.address_hash) for event in events if event.event_type is EventType.UNSUBSCRIBED] == [
        ("one_click", address_hash("ada@example.com"))
    ]
    log = receiver_process.stop()
    for secret in ("ada@example.com", stop, click, "token-key-of-the-test", "write-key", "twilio-auth-token"):
        assert secret not in log
