"""Whatever is thrown at a door, it answers with what it documents: never an error of ours, never a hang, and nothing
that was not asked for is written down."""

from __future__ import annotations

import base64
import json
import os
import string
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.events import LandingFile
from rekindle.events.preferences import Action, read_form
from rekindle.identity import address_hash
from rekindle.receiver import openapi_document
from rekindle.vocabulary import Stream

HASH = address_hash("ada@example.com")
WRITE_KEY = {"Authorization": "Basic " + base64.b64encode(b"write-key:").decode()}
#: `make fuzz-receiver` asks for many more.
EXAMPLES = int(os.environ.get("REKINDLE_FUZZ_EXAMPLES", "60"))
FUZZ = settings(max_examples=EXAMPLES, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])

ROUTES = [
    "/webhooks/sendgrid/events",
    "/webhooks/twilio/status",
    "/webhooks/twilio/inbound",
    "/c/{}",
    "/u/{}",
    "/p/{}",
    "/confirm/{}",
    *(f"/v1/{kind}" for kind in ("track", "identify", "page", "screen", "group", "alias", "batch", "leads")),
    "/healthz",
    "/readyz",
    "/metrics",
    "/{}",
]


@pytest.fixture(autouse=True)
def _unlimited(desk: Any) -> None:
    """All of this comes from one client."""
    desk.start(page_requests_per_minute=0, tracking_requests_per_minute=0)


path_part = st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=40)
header_value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
header_name = st.sampled_from(
    [
        *("authorization", "content-type", "content-encoding", "content-length", "x-twilio-signature", "host", "range"),
        *("x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp", "x-forwarded-for"),
        *("x-twilio-webhooks-signature-settings", "expect", "transfer-encoding", "cookie", "user-agent", "sec-purpose"),
    ]
).filter(lambda name: name not in ("content-length", "transfer-encoding"))
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
body = st.one_of(
    st.binary(max_size=200),
    json_value.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5).map(lambda form: urlencode(form).encode()),
)


@FUZZ
@given(
    route=st.sampled_from(ROUTES),
    part=path_part,
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]),
    headers=st.dictionaries(header_name, header_value, max_size=4),
    content=body,
    query=st.text(string.printable, max_size=20),
)
def test_no_request_breaks_a_door(
    desk: Any, route: str, part: str, method: str, headers: dict[str, str], content: bytes, query: str
) -> None:
    url = desk.client.build_request("GET", "/").url.copy_with(
        raw_path=(_quoted(route.format(_quoted(part)) if "{}" in route else route) + "?" + _quoted(query)).encode()
    )
    answer = desk.client.request(method, url, headers=headers, content=content)
    assert answer.status_code < 500, (method, url, headers)
    assert "location" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    # Strangers leave nothing behind but an unsubscribe that a person has to look at
    for file in landed(desk):
        assert file.stream is Stream.UNSUBSCRIBES
        assert (file.message_events, file.elements) == ([], [])


@FUZZ
@given(calls=st.lists(json_value, max_size=4), fields=st.dictionaries(st.text(max_size=8), json_value, max_size=3))
def test_no_call_with_a_key_breaks_the_tracking_door(desk: Any, calls: list[Any], fields: dict[str, Any]) -> None:
    content = json.dumps({**fields, "batch": calls}).encode()
    assert desk.client.post("/v1/batch", content=content, headers=WRITE_KEY).status_code in (200, 400)
    for file in landed(desk):
        assert file.elements or file.dead_letters


@FUZZ
@given(
    form=st.fixed_dictionaries(
        {},
        optional={
            **{
                name: json_value | st.text(max_size=30)
                for name in (
                    *("email", "phone", "time_zone", "country", "form", "wording_version", "consented_at"),
                    *("remote_address", "topics", "locale", "user_id", "double_opt_in"),
                )
            },
            "channels": st.lists(st.sampled_from(["email", "sms", "fax"]), max_size=3),
        },
    )
)
def test_no_form_breaks_the_door_of_sign_ups(desk: Any, form: dict[str, Any]) -> None:
    answer = desk.client.post("/v1/leads", content=json.dumps(form), headers=WRITE_KEY)
    assert answer.status_code in (202, 400)
    assert [letter for file in landed(desk) for letter in file.dead_letters] == []


@FUZZ
@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["do", "topic", "channel", "frequency", "wording", "x"]),
            st.sampled_from([*Action, "email", "sms", "tips", "less_often", "as_usual", "all", ""])
            | st.text(max_size=9),
        ),
        max_size=8,
    )
)
def test_the_page_says_it_is_written_down_exactly_when_it_is(desk: Any, pairs: list[tuple[str, str]]) -> None:
    link = "/p/" + desk.tokens.preferences("m", HASH, "email", "marketing")
    content = urlencode(pairs, errors="replace").encode()
    answer = desk.client.post(link, content=content)
    assert answer.status_code == 200
    files = landed(desk)
    assert len(files) == ("We have written it down" in answer.text)
    assert [letter for file in files for letter in file.dead_letters] == []
    assert all(file.preferences for file in files)


@pytest.mark.parametrize(
    "text", ["do=pause&" + "&" * 300, "do=%ff%fe", "do=pause%00", "=pause", "do", "\x00", "do=stop;do=x"]
)
def test_odd_forms(text: str) -> None:
    found = read_form(text)
    assert found is None or found.action in Action


def test_the_openapi_document_names_every_route(desk: Any) -> None:
    document = json.loads(openapi_document())
    assert set(document["paths"]) == {route.replace("{}", "{token}") for route in ROUTES if route != "/{}"}
    # every method that is routed is described, and no answer is that never comes
    routed = {
        (route.path, method.lower()) for route in desk.client.app.routes for method in getattr(route, "methods", ())
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == routed
    assert "422" not in {
        status for path in document["paths"].values() for what in path.values() for status in what["responses"]
    }
    names = [what["operationId"] for path in document["paths"].values() for what in path.values()]
    assert len(names) == len(set(names))
    for path, methods in document["paths"].items():
        if path.startswith("/v1/"):
            (schema,) = [what["schema"] for what in methods["post"]["requestBody"]["content"].values()]
            assert schema["properties"]
            assert methods["post"]["security"] == [{"writeKey": []}]
    assert document["components"]["securitySchemes"]["writeKey"]["scheme"] == "basic"
    assert '"$ref": "#/$defs' not in openapi_document()
    # Every name it refers to is there
    schemas = document["components"]["schemas"]
    for name in {part.partition('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}:
        assert name in schemas


def landed(desk: Any) -> list[LandingFile]:
    """What the last example left, taken away."""
    files: list[LandingFile] = desk.read()
    for path in desk.root.glob("*/*/*.jsonl"):
        path.unlink()
    return files


def _quoted(text: str) -> str:
    """Any text as a path or query that goes over the wire."""
    return "".join(
        character if character.isascii() and (character.isalnum() or character in "/-._~=&%") else f"%{byte:02x}"
        for character in text
        for byte in (character.encode(errors="replace") if not character.isascii() else character.encode())[:1]
    )
