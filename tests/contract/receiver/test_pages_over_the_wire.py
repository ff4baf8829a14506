"""The pages and the product's door as a real process serves them: proxies, halves of requests, many at once."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime
from typing import Any

import httpx

from rekindle.events import list_landing_files, read_landing_file
from rekindle.identity import address_hash
from rekindle.tokens import ConfirmToken, TokenSigner
from rekindle.vocabulary import Choice, Stream

TOKENS = TokenSigner(["token-key-of-the-test"])
HASH = address_hash("ada@example.com")


def landed(receiver: Any) -> list[Any]:
    return [read_landing_file(path, receiver.landing) for path in list_landing_files(receiver.landing)]


def records(receiver: Any, stream: Stream) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((receiver.landing / stream).glob("*/*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_choices_and_confirmations_over_the_wire(receiver_process: Any) -> None:
    choices = "/p/" + TOKENS.preferences("m-1", HASH, "email", "marketing")
    confirm = "/confirm/" + TOKENS.confirm(ConfirmToken("o-1", HASH, "email", "tips", "1", datetime.now(UTC).date()))
    # A proxy on this host is believed about who called; the name in the Host header decides nothing
    headers = {"X-Forwarded-For": "203.0.113.7", "Host": "evil.example"}
    with httpx.Client(base_url=receiver_process.url, headers=headers) as client:
        for path in (choices, confirm):
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = client.request(method, path)
                assert answer.status_code in (200, 204)
                assert "evil.example" not in answer.text
        assert landed(receiver_process) == []
        assert client.post(choices, data={"do": "pause"}).status_code == 200
        assert client.post(confirm).status_code == 200
    rows = [row for file in landed(receiver_process) for row in file.preferences]
    assert {(row.choice, row.topic) for row in rows} == {(Choice.PAUSED, "all"), (Choice.GRANTED, "tips")}
    assert {json.loads(row.evidence)["remote_hash"] for row in rows} == {address_hash("203.0.113.7")}
    log = receiver_process.stop()
    for secret in (choices[3:], confirm[9:], "203.0.113.7", "ada@"):
        assert secret not in log


def test_half_a_request_changes_nothing_and_holds_nobody_up(receiver_process: Any) -> None:
    choices = "/p/" + TOKENS.preferences("m-1", HASH, "email", "marketing")
    halves = [
        f"POST {choices} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\ndo=pause".encode(),
        f"POST {choices} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndo=pause\r\n".encode(),
        b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ]
    connections = []
    for half in halves * 4:
        connection = socket.create_connection(("127.0.0.1", receiver_process.port), timeout=5)
        connection.sendall(half)
        connections.append(connection)
    # Meanwhile everybody else is served
    assert httpx.get(receiver_process.url + choices, timeout=5).status_code == 200
    for connection in connections:
        connection.close()
    assert httpx.get(receiver_process.url + "/readyz", timeout=5).status_code == 200
    assert landed(receiver_process) == []


def test_many_people_at_once_are_all_written_down(receiver_process: Any) -> None:
    def choose(number: int) -> None:
        token = TOKENS.preferences(f"m-{number}", address_hash(f"{number}"), "email", "marketing")
        answer = httpx.post(f"{receiver_process.url}/p/{token}", data={"do": "save", "frequency": "less_often"})
        assert answer.status_code == 200

    people = [threading.Thread(target=choose, args=(number,)) for number in range(40)]
    for person in people:
        person.start()
    for person in people:
        person.join(20)
    told = {record["token"]["message_id"] for record in records(receiver_process, Stream.PREFERENCES)}
    assert told == {f"m-{number}" for number in range(40)}
