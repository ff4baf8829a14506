"""How the JSON routes look in the OpenAPI document: the bodies are read raw, so they are described beside the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from rekindle.events.opt_ins import OptInForm

Identifier = Annotated[str | int, Field(description="The user's id in the company's own tables.")]


class Success(BaseModel):
    """The request is on the disk."""

    success: Literal[True] = True


class Refusal(BaseModel):
    """The request was not taken."""

    success: Literal[False] = False
    message: str | None = None


class FieldFault(BaseModel):
    """What is wrong with one field; the value is not repeated."""

    field: str
    message: str


class FormRefusal(Refusal):
    """The sign-up was not taken."""

    errors: list[FieldFault] = []


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]
    counts: dict[str, int] = Field(description="`<stream>.<what happened>` since the process started.")


class Readiness(BaseModel):
    """Whether requests can be made durable now."""

    status: str


class Call(BaseModel):
    """What every call of Segment's spec has. Unknown fields are kept as they came."""

    model_config = ConfigDict(extra="allow")

    userId: Identifier | None = None
    anonymousId: str | None = None
    messageId: str | None = Field(None, description="Calls with the same one count once.")
    timestamp: str | None = Field(None, description="ISO 8601, by the device's clock.")
    originalTimestamp: str | None = Field(None, description="As `timestamp`; wins where both are sent.")
    sentAt: str | None = Field(None, description="When the device sent it; its clock's skew is taken out.")
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    writeKey: str | None = Field(None, description="Instead of basic authentication.")


class TrackCall(Call):
    """Somebody did something."""

    event: str
    properties: dict[str, Any] | None = None


class IdentifyCall(Call):
    """Who somebody is. Kept as it came; the users table is the company's own."""

    traits: dict[str, Any] | None = None


class PageCall(Call):
    """Somebody saw a page."""

    name: str | None = None
    properties: dict[str, Any] | None = None


class ScreenCall(PageCall):
    """Somebody saw a screen of an app."""


class GroupCall(Call):
    """To which group somebody belongs. Kept as it came."""

    groupId: str | None = None
    traits: dict[str, Any] | None = None


class AliasCall(Call):
    """Two ids are one user. Kept as it came."""

    previousId: str | None = None


class BatchedCall(Call):
    """One call in a batch."""

    type: Literal["track", "identify", "page", "screen", "group", "alias"]


class Batch(BaseModel):
    """Several calls."""

    model_config = ConfigDict(extra="allow")

    batch: list[BatchedCall] = Field(min_length=1)
    sentAt: str | None = None
    writeKey: str | None = None


MODELS: dict[str, type[BaseModel]] = {
    "track": TrackCall,
    "identify": IdentifyCall,
    "page": PageCall,
    "screen": ScreenCall,
    "group": GroupCall,
    "alias": AliasCall,
    "batch": Batch,
    "leads": OptInForm,
}

BASIC_AUTHENTICATION = {"writeKey": {"type": "http", "scheme": "basic", "description": "The write key as user name."}}

Responses: TypeAlias = dict[int | str, dict[str, Any]]


def told(description: str, content_type: str | None = "text/plain", *headers: str) -> dict[str, Any]:
    """An answer that is not JSON; with None it has no body."""
    answer: dict[str, Any] = {"description": description}
    if content_type is not None:
        answer["content"] = {content_type: {"schema": {"type": "string"}}}
    if headers:
        answer["headers"] = {name: {"required": True, "schema": {"type": "string"}} for name in headers}
    return answer


def page(description: str) -> dict[str, Any]:
    """A page for a person."""
    return told(description, "text/html")


def without_bodies(responses: Responses) -> Responses:
    """The answers to a HEAD."""
    return {
        status: {name: part for name, part in told.items() if name != "content"} for status, told in responses.items()
    }


def described_methods() -> dict[str, Any]:
    """The words of an OPTIONS route."""
    return {
        "summary": "Which methods there are",
        "status_code": 204,
        "responses": {204: told("See the header.", None, "Allow"), **TOO_MANY},
    }


TOO_LARGE: Responses = {413: told("The body is too large.")}
TOO_MANY: Responses = {429: told("Too many requests of this client.", "text/plain", "Retry-After")}
TRY_AGAIN: Responses = {503: told("It could not be made durable.", "text/plain", "Retry-After")}
CUT_OFF: Responses = {400: told("The body was cut off.", None)}
CALL_RESPONSES: Responses = {
    200: {"model": Success, "description": "On the disk."},
    400: {"model": Refusal, "description": "Not a JSON object."},
    401: {"model": Refusal, "description": "No write key of ours."},
    415: told("Packed in a way other than gzip."),
    **TOO_LARGE,
    **TOO_MANY,
    **TRY_AGAIN,
}
OPT_IN_RESPONSES: Responses = {
    202: {"model": Success, "description": "Taken. Whether the address is known is not told."},
    400: {"model": FormRefusal, "description": "Not a sign-up; says which field."},
    401: {"model": Refusal, "description": "No write key of ours."},
    **TOO_LARGE,
    **TOO_MANY,
    **TRY_AGAIN,
}


def described_call(name: str) -> dict[str, Any]:
    """The body and the security of one JSON route, for `openapi_extra`."""
    schema = MODELS[name].model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, schema.pop("$defs", {}))}},
        },
        "security": [{"writeKey": []}],
    }


def described_webhook(headers: Mapping[str, str], **bodies: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's request: the headers that sign it, and its body as the provider's own documents describe it."""
    parameters = [
        {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in headers.items()
    ]
    return {"parameters": parameters, "requestBody": _body(bodies)}


def described_form(fields: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    """A form of one of our pages; mail programs send theirs as multipart."""
    schema = {"type": "object", "properties": dict(fields)}
    return {"requestBody": _body({"form": schema, "multipart": schema}, required=required)}


_CONTENT_TYPES = {
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data",
    "json": "application/json",
}


def _body(bodies: Mapping[str, Mapping[str, Any]], *, required: bool = True) -> dict[str, Any]:
    content = {_CONTENT_TYPES[kind]: {"schema": dict(schema)} for kind, schema in bodies.items()}
    return {"required": required, "content": content}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references: FastAPI collects components for the models that it reads itself only."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: _inlined(value, definitions) for name, value in schema.items()}
    return [_inlined(value, definitions) for value in schema] if isinstance(schema, list) else schema
