"""Sign-ups through the company's own forms: who asked for what, in which words, on which form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from rekindle.contacts.checks import check_email, check_phone
from rekindle.events.json_elements import DECODER
from rekindle.events.preferences import ALL, evidence_of, is_topic
from rekindle.events.rows import WHOLE_REQUEST, LandedRequest, OptIn, PreferenceChoice, Rows, event_key, text_or_none
from rekindle.identity import address_hash, stable_id
from rekindle.timing.zones import proper_zone, zones_of_country
from rekindle.vocabulary import Channel, Choice, ConsentSource


def _storable(text: str) -> str:
    if text_or_none(text) is None or not text.isprintable():
        raise ValueError("must be printable Unicode text")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_storable)]


class OptInForm(BaseModel):
    """One sign-up. It says which words the person agreed to; whether somebody knows the address is not answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: Annotated[Text | None, Field(description="E-mail address; needed for the channel email.")] = None
    phone: Annotated[Text | None, Field(description="Number in E.164, like +14155550100; needed for sms.")] = None
    user_id: Annotated[Text | None, Field(description="The user's id in the company's own tables, if known.")] = None
    first_name: Text | None = None
    time_zone: Annotated[Text | None, Field(description="IANA zone the browser tells, like Europe/Berlin.")] = None
    country: Annotated[Text | None, Field(description="ISO 3166 code, like DE.")] = None
    locale: Annotated[Text | None, Field(description="Language and region, like de-DE.")] = None
    form: Annotated[Text, Field(description="Which form it was, like footer or checkout.")]
    wording_version: Annotated[Text, Field(description="Version of the consent wording that stood beside the box.")]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=2)]
    topics: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20, description="Topics agreed to, or all.")]
    consented_at: Annotated[AwareDatetime | None, Field(description="When the box was ticked; default: now.")] = None
    remote_address: Annotated[IPvAnyAddress | None, Field(description="The person's own address; kept as a hash.")] = (
        None
    )
    double_opt_in: Annotated[
        bool,
        Field(description="True: nothing is granted before the link is confirmed. False: the caller has proved it."),
    ] = True

    @field_validator("email")
    @classmethod
    def _check_email(cls, value: str | None) -> str | None:
        if value is not None and not check_email(value).is_usable:
            raise ValueError("is not an e-mail address")
        return value

    @field_validator("phone")
    @classmethod
    def _check_phone(cls, value: str | None) -> str | None:
        if value is None:
            return None
        checked = check_phone(value, None, None)
        if checked.e164 is None:
            raise ValueError("is not a telephone number; write it as E.164, +14155550100")
        return checked.e164

    @field_validator("time_zone")
    @classmethod
    def _check_zone(cls, value: str | None) -> str | None:
        if value is None:
            return None
        zone = proper_zone(value)
        if zone is None:
            raise ValueError("is not an IANA time zone; write it like Europe/Berlin")
        return zone

    @field_validator("country")
    @classmethod
    def _check_country(cls, value: str | None) -> str | None:
        if value is not None and not (len(value) == 2 and zones_of_country(value)):
            raise ValueError("is not an ISO 3166 code; write it like DE")
        return value.upper() if value else None

    @field_validator("topics")
    @classmethod
    def _check_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not is_topic(topic) and topic != ALL for topic in value):
            raise ValueError("are lower-case words joined by underscores, as in the campaign files")
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _need_addresses(self) -> Self:
        for channel, address in ((Channel.EMAIL, self.email), (Channel.SMS, self.phone)):
            if channel in self.channels and address is None:
                raise ValueError(f"the channel {channel} needs an address")
        return self

    def address(self, channel: Channel) -> str:
        """The address of a channel the form names."""
        address = self.email if channel is Channel.EMAIL else self.phone
        if address is None:
            raise ValueError(f"the form has no address for {channel}")
        return address


def faults_of(error: ValidationError) -> list[dict[str, str]]:
    """The first fault of each field, without the value: it may be somebody's address."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        field = str(fault["loc"][0]) if fault["loc"] else "form"
        faults.setdefault(field, fault["msg"].removeprefix("Value error, "))
    return [{"field": field, "message": message} for field, message in faults.items()]


def parse_request(request: LandedRequest, rows: Rows) -> None:
    """Read one sign-up into `rows`: an element, a raw row per channel and a choice per channel and topic."""
    try:
        form = OptInForm.model_validate(DECODER.decode(request.body))
    except ValidationError as error:
        fields = sorted(fault["field"] for fault in faults_of(error))
        rows.bury(request, WHOLE_REQUEST, f"the form is not one of ours: {', '.join(fields)}", request.body)
        return
    except (ValueError, RecursionError):
        rows.bury(request, WHOLE_REQUEST, "the body is not JSON", request.body)
        return
    token = request.token or {}
    opt_in_id = text_or_none(token.get("opt_in_id")) or stable_id(
        "opt_in", request.body, request.received_at.isoformat()
    )
    key = event_key("form", opt_in_id)
    rows.keep(request, 1, key, request.body)
    # Nobody agrees in the future, whatever the caller's clock says.
    consented_at = min(form.consented_at or request.received_at, request.received_at)
    for channel in dict.fromkeys(form.channels):
        rows.opt_ins.append(_opt_in(form, channel, opt_in_id, token, consented_at, request))
        rows.preferences += [_choice(form, channel, topic, key, consented_at, request) for topic in form.topics]


def _opt_in(
    form: OptInForm,
    channel: Channel,
    opt_in_id: str,
    token: Mapping[str, str],
    consented_at: datetime,
    request: LandedRequest,
) -> OptIn:
    return OptIn(
        opt_in_id=opt_in_id,
        channel=channel,
        user_id=form.user_id,
        address=form.address(channel),
        address_hash=address_hash(form.address(channel)),
        topics=",".join(form.topics),
        wording_version=form.wording_version,
        form=form.form,
        first_name=form.first_name,
        time_zone=form.time_zone,
        country=form.country,
        locale=form.locale,
        is_double_opt_in=form.double_opt_in,
        confirm_token=text_or_none(token.get(f"{channel}_confirm_token")),
        consented_at=consented_at,
        received_at=request.received_at,
        landing_file=request.landing_file,
    )


def _choice(
    form: OptInForm, channel: Channel, topic: str, key: str, consented_at: datetime, request: LandedRequest
) -> PreferenceChoice:
    remote = str(form.remote_address) if form.remote_address else None
    choice = Choice.REQUESTED if form.double_opt_in else Choice.GRANTED
    return PreferenceChoice(
        choice_id=stable_id("choice", key, channel, topic, choice),
        event_key=key,
        message_id=None,
        address_hash=address_hash(form.address(channel)),
        address_channel=channel,
        channel=channel,
        topic=topic,
        choice=choice,
        wording_version=form.wording_version,
        source=ConsentSource.FORM,
        # Who called us is the company's own server; the person's address is the one the form tells.
        evidence=evidence_of(request, key, form=form.form, remote_hash=address_hash(remote) if remote else None),
        jurisdiction=form.country,
        occurred_at=consented_at,
        landing_file=request.landing_file,
    )


def read_opt_in(body: bytes) -> OptInForm:
    """The form in a request's body; raises `ValidationError`, or `ValueError` if it is not JSON."""
    content: Any = DECODER.decode(body.decode())
    json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair can be spelled in JSON and not be stored
    return OptInForm.model_validate(content)
