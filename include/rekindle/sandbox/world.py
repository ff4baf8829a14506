"""The sandbox's state and what happens in it: providers, networks and people, on one logical clock.

Accepting is cheap: an accepted request is only put on the timeline. What becomes of it is worked out when the clock has
moved and somebody asks to have the due things done.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic_core import to_json

from rekindle.clock import Clock, SystemClock
from rekindle.sandbox import people, sendgrid, twilio
from rekindle.sandbox.faults import FaultKind, FaultRule, Faults, Provider, Unit
from rekindle.sandbox.keys import generate_signing_key, load_or_create_signing_key
from rekindle.sandbox.people import Reaction, ReactionKind
from rekindle.sandbox.postman import Parcel, ParcelKind, Postman, monotonic
from rekindle.sandbox.record import Record, on_one_line
from rekindle.sandbox.sendgrid import Mail, MailRequest, SuppressionList, Suppressions
from rekindle.sandbox.settings import Reactions, SandboxSettings
from rekindle.sandbox.timeline import Timeline
from rekindle.sandbox.twilio import Form, Message, MessageStore

#: SendGrid posts an event again for up to 24 hours.
SENDGRID_RETRY_SECONDS = 24 * 3600

_LINK = re.compile(r"https?://[^\s<>\"'()\[\]]+?/(?:c|u)/[A-Za-z0-9_.~%-]*[A-Za-z0-9_~%-]")

#: Twilio tells every status but the first; `sending` passes without a callback.
_STATUSES_CALLED_BACK = frozenset({"queued", "sent", "delivered", "undelivered", "failed"})


@dataclass(slots=True)
class Delivery:
    """The result of one `POST /_sandbox/deliver`."""

    delivered: Counter[ParcelKind] = field(default_factory=Counter)
    failed: Counter[ParcelKind] = field(default_factory=Counter)


class World:
    """Everything behind the routes."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.suppressions = Suppressions()
        self.messages = MessageStore()
        self.mail_requests: list[MailRequest] = []
        self.mail_count = 0
        #: (sender or service, recipient) → since when.
        self.opted_out: dict[tuple[str, str], int] = {}
        #: ISO day → numbers given up on it, as the operators of a country report them.
        self.deactivated: dict[str, list[str]] = {}
        self.timeline = Timeline()
        self.record = Record(settings.record_path)
        self.faults = Faults(settings.seed, monotonic, _throttles(settings))
        self.signing_key = _signing_key(settings)
        self._unreliability = people.Unreliability(
            settings.late_share, settings.repeated_share, settings.overtaken_share
        )
        #: Mails that share one entry of the timeline with the first mail of their request.
        self._unopened_mails = 0
        self._due: list[Parcel] = []
        #: SendGrid events the receiver did not take; they go first at the next delivery.
        self._again: list[Parcel] = []
        self._delivering = asyncio.Lock()
        self._postman = Postman(
            receiver_url=settings.receiver_url,
            public_url=settings.public_url,
            signing_key=self.signing_key,
            twilio_auth_token=settings.twilio_auth_token.get_secret_value(),
            events_per_post=settings.events_per_post,
            concurrency=settings.concurrency,
            timeout_seconds=settings.callback_timeout_seconds,
        )
        self._reload()

    def now(self) -> int:
        """The clock's instant in unix seconds."""
        return int(self.clock.now().timestamp())

    @property
    def pending(self) -> int:
        """Things scheduled and not done: happenings whose instant has not come, and callbacks to be tried again."""
        return len(self.timeline) + self._unopened_mails + len(self._due) + len(self._again)

    # --- accepting

    def accept_mail(self, raw: bytes, recipients: int) -> MailRequest:
        """Take a valid mail request."""
        now = self.now()
        document = on_one_line(raw)
        number = len(self.mail_requests)
        request = MailRequest(sendgrid.request_id(self.settings.seed, number, now, document), now, document, recipients)
        self.record.append_with_document(
            "mail", document, id=request.request_id, at=now, received_at=_real_time(), recipients=recipients
        )
        self._add_mail(request)
        return request

    def _add_mail(self, request: MailRequest) -> None:
        self.mail_requests.append(request)
        self.mail_count += request.recipients
        self._unopened_mails += request.recipients - 1
        self.timeline.at(request.accepted_at, partial(self._start_mail_request, request))

    def accept_text(self, raw: bytes, form: Form) -> Message:
        """Take a valid text message."""
        now = self.now()
        number = len(self.messages.in_order)
        media = any(name == "MediaUrl" for name, _ in form)
        sid = twilio.message_sid(self.settings.seed, number, now, raw, media=media)
        self.record.append("text", sid=sid, at=now, received_at=_real_time(), form=form)
        return self._add_text(sid, now, form)

    def _add_text(self, sid: str, accepted_at: int, form: Form) -> Message:
        number = len(self.messages.in_order)
        message = twilio.message_from(form, sid, self.settings.twilio_account_sid, number, accepted_at)
        self.messages.add(message)
        self.timeline.at(message.starts_at, partial(self._start_text, message))
        return message

    def receive_text(self, sender: str, to: str, body: str) -> Message:
        """A person texts one of our numbers: recorded, forwarded, and taken as an opt-out where Twilio would."""
        now = self.now()
        self.record.append("inbound", at=now, sender=sender, to=to, body=body)
        return self._add_inbound(now, sender, to, body)

    def _add_inbound(self, at: int, sender: str, to: str, body: str) -> Message:
        service = to if to.startswith("MG") else None
        return self._take_inbound(at, sender, self.settings.twilio_sender if service else to, service, body)

    # --- changes on request

    def suppress(self, name: SuppressionList, address: str) -> None:
        now = self.now()
        self.record.append("suppress", list=name, email=address, at=now)
        self.suppressions.add(name, address, now)

    def unsuppress(self, name: SuppressionList, address: str) -> bool:
        self.record.append("unsuppress", list=name, email=address)
        return self.suppressions.remove(name, address)

    def suppress_in_group(self, group: str, address: str) -> None:
        self.record.append("suppress_in_group", group=group, email=address)
        self.suppressions.add_to_group(group, address)

    def unsuppress_in_group(self, group: str, address: str) -> bool:
        self.record.append("unsuppress_in_group", group=group, email=address)
        return self.suppressions.remove_from_group(group, address)

    def deactivate(self, day: str, numbers: list[str]) -> None:
        """These numbers were given up on that ISO day."""
        self.record.append("deactivate", day=day, numbers=numbers)
        self.deactivated[day] = numbers

    def set_consent(self, sender: str, number: str, *, opted_out: bool) -> None:
        """The Compliance Toolkit was told what a person wants from a sender."""
        now = self.now()
        self.record.append("consent", sender=sender, number=number, opted_out=opted_out, at=now)
        self._set_consent(sender, number, opted_out, now)

    def _set_consent(self, sender: str, number: str, opted_out: bool, at: int) -> None:
        if opted_out:
            self.opted_out.setdefault((sender, number), at)
        else:
            self.opted_out.pop((sender, number), None)

    def update_text(self, message: Message, *, cancel: bool, redact: bool) -> bool:
        """Cancel a scheduled message or empty its body; false when its status does not allow that."""
        if cancel and message.status != "scheduled":
            return False
        now = self.now()
        self.record.append("update", sid=message.sid, cancel=cancel, redact=redact, at=now)
        self._update_text(message, cancel=cancel, redact=redact, at=now)
        return True

    def _update_text(self, message: Message, *, cancel: bool, redact: bool, at: int) -> None:
        if cancel:
            message.status = "canceled"
        if redact:
            message.body = ""
        message.updated_at = at

    # --- what was accepted

    def accepted(self, offset: int = 0, limit: int | None = None) -> Iterator[dict[str, object]]:
        """Every accepted message: mails in the order they came, then texts."""
        return islice(self._accepted(), offset, None if limit is None else offset + limit)

    def _accepted(self) -> Iterator[dict[str, object]]:
        for request in self.mail_requests:
            for mail in request.mails():
                yield {
                    "provider": Provider.SENDGRID,
                    "message_id": mail.custom_args.get("rk_message_id"),
                    "provider_id": mail.request_id,
                    "to": mail.address,
                    "subject": mail.subject,
                    "body": mail.text or mail.html,
                    "html": mail.html,
                    "headers": mail.headers,
                    "custom_args": mail.custom_args,
                    "accepted_at": iso(mail.accepted_at),
                }
        for message in self.messages.in_order:
            if message.direction != "inbound":
                yield {
                    "provider": Provider.TWILIO,
                    "message_id": message.callback_arguments.get("mid"),
                    "provider_id": message.sid,
                    "to": message.to,
                    "from": message.sender,
                    "messaging_service_sid": message.service_sid,
                    "subject": None,
                    "body": message.body,
                    "segments": message.segments,
                    "status": message.status,
                    "error_code": message.error_code,
                    "custom_args": message.callback_arguments,
                    "accepted_at": iso(message.accepted_at),
                }

    # --- delivering

    async def deliver(self) -> dict[str, object]:
        """Do everything due by the clock, in due order and until nothing more is due; then tell the counts."""
        async with self._delivering:
            now = self.now()
            result = Delivery()
            refused_keys: list[str] = []
            self._due, self._again = [*self._again, *self._due], []
            while True:
                self.timeline.run_until(now)
                load, self._due = self._due, []
                if not load:
                    break
                outcome = await self._postman.carry(load, now)
                result.delivered += outcome.arrived
                for follow_up in outcome.follow_ups:
                    follow_up()
                for parcel in outcome.refused:
                    refused_keys.append(parcel.key)
                    if not self._keep_for_later(parcel, now):
                        result.failed[parcel.kind] += 1
            again = [[parcel.key, parcel.first_tried_at] for parcel in self._again]
            self.record.append("delivered", through=now, again=again, refused=refused_keys)
            self.record.flush()
        return {
            "delivered": result.delivered.total(),
            "pending": self.pending,
            "failed": result.failed.total(),
            "to_retry": len(self._again),
            "delivered_by_kind": dict(sorted(result.delivered.items())),
            "failed_by_kind": dict(sorted(result.failed.items())),
            "as_of": iso(now),
            "next_due": self.timeline.next_due,
        }

    def _keep_for_later(self, parcel: Parcel, now: int) -> bool:
        if parcel.kind is not ParcelKind.SENDGRID_EVENT:
            return False
        if parcel.first_tried_at is None:
            parcel.first_tried_at = now
        if now - parcel.first_tried_at > SENDGRID_RETRY_SECONDS:
            return False
        self._again.append(parcel)
        return True

    # --- mail

    def _start_mail_request(self, request: MailRequest) -> None:
        self._unopened_mails -= request.recipients - 1
        for mail in request.mails():
            if mail.starts_at > request.accepted_at:
                self.timeline.at(mail.starts_at, partial(self._start_mail, mail))
            else:
                self._start_mail(mail)

    def _start_mail(self, mail: Mail) -> None:
        reason = self.suppressions.drop_reason(mail.address)
        if reason is not None:
            self.timeline.at(
                mail.starts_at + 1,
                partial(self._happen_to_mail, mail, "dropped", mail.starts_at + 1, {"reason": reason}),
            )
            return
        seed = self.settings.seed
        events = people.mail_delivery(seed, mail.address, mail.key, mail.starts_at)
        for event in events:
            self.timeline.at(event.at, partial(self._happen_to_mail, mail, event.event, event.at, event.fields))
        last = events[-1]
        if last.event == "delivered" and self._anybody_is_there(mail.address):
            for reaction in people.mail_reactions(seed, mail.address, mail.key, last.at):
                self.timeline.at(reaction.at, partial(self._react_to_mail, mail, reaction))

    def _anybody_is_there(self, address: str) -> bool:
        return self.settings.reactions is Reactions.PERSUADABLE and not address.lower().endswith(sendgrid.SINK_DOMAIN)

    def _happen_to_mail(self, mail: Mail, event: str, at: int, fields: dict[str, Any]) -> None:
        """One SendGrid event happens: the lists change at once, the webhook follows in its own time."""
        address = mail.address
        if event == "bounce" and fields["type"] == "bounce":
            self.suppressions.add(
                SuppressionList.BOUNCES, address, at, reason=fields["reason"], status=fields["status"]
            )
        elif event == "bounce":
            self.suppressions.add(SuppressionList.BLOCKS, address, at, reason=fields["reason"], status=fields["status"])
        elif event == "dropped" and fields["reason"] == "Invalid":
            self.suppressions.add(
                SuppressionList.INVALID_EMAILS, address, at, reason="Mail domain mentioned in email address is unknown"
            )
        elif event == "spamreport":
            self.suppressions.add(SuppressionList.SPAM_REPORTS, address, at, ip="192.0.2.44")
        # Attempts of a deferral are told apart by their instants.
        key = f"{mail.sg_message_id}|{event}|{at}"
        identity = f"{mail.key}|{event}|{at}"
        for number, posting in enumerate(people.postings(self.settings.seed, identity, self._unreliability)):
            identifier = sendgrid.event_id(key, "renamed" if posting.renamed else "")
            parcel = Parcel(
                key=f"{key}|{number}",
                kind=ParcelKind.SENDGRID_EVENT,
                lane=mail.sg_message_id,
                body=sendgrid.event_body(mail, event, at, identifier, fields),
            )
            self._post(at + posting.lag, parcel)

    def _react_to_mail(self, mail: Mail, reaction: Reaction) -> None:
        match reaction.kind:
            case ReactionKind.MACHINE_OPEN | ReactionKind.OPEN:
                if mail.opens_are_tracked:
                    machine = reaction.kind is ReactionKind.MACHINE_OPEN
                    fields = {
                        "useragent": reaction.user_agent,
                        "ip": "192.0.2.80",
                        "sg_machine_open": machine,
                        "sg_content_type": "html",
                    }
                    self._happen_to_mail(mail, "open", reaction.at, fields)
            case ReactionKind.COMPLAIN:
                self._happen_to_mail(mail, "spamreport", reaction.at, {})
            case ReactionKind.UNSUBSCRIBE:
                self._press_unsubscribe(mail, reaction)
            case ReactionKind.SCAN:
                for number, link in enumerate(dict.fromkeys(_LINK.findall(f"{mail.text}\n{mail.html}"))):
                    key = f"{mail.sg_message_id}|scan|{number}"
                    self._ask(key, mail.sg_message_id, reaction.text, link, reaction.user_agent)
            case ReactionKind.CLICK:
                lead = mail.custom_args.get("rk_lead")
                self._click(mail.sg_message_id, mail.text or mail.html, reaction, lead)
            case ReactionKind.REPLY:
                pass  # nobody answers a mail here

    def _press_unsubscribe(self, mail: Mail, reaction: Reaction) -> None:
        url = mail.one_click_url
        if url is None:
            return
        # RFC 8058: multipart should, urlencoded may be used; receivers meet both.
        if people.Dice.of(self.settings.seed, "one-click", mail.key).chance("multipart", 0.5):
            headers = {"Content-Type": "multipart/form-data; boundary=one-click"}
            part = b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click'
            body = b"--one-click\r\n" + part + b"\r\n--one-click--\r\n"
        else:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = b"List-Unsubscribe=One-Click"
        self._due.append(
            Parcel(
                f"{mail.sg_message_id}|unsubscribe",
                ParcelKind.PERSON,
                mail.sg_message_id,
                body,
                "POST",
                url,
                headers=headers,
            )
        )

    # --- texts

    def _start_text(self, message: Message) -> None:
        if message.status == "canceled":
            return
        started = message.starts_at
        if message.service_sid:
            started += 1
            self.timeline.at(started, partial(self._happen_to_text, message, "queued", None, started))
        statuses = people.sms_delivery(self.settings.seed, message.to, message.key, started)
        for status in statuses:
            self.timeline.at(
                status.at, partial(self._happen_to_text, message, status.status, status.error_code, status.at)
            )
        last = statuses[-1]
        if last.status != "undelivered" and self.settings.reactions is Reactions.PERSUADABLE:
            for reaction in people.sms_reactions(self.settings.seed, message.to, message.key, last.at):
                self.timeline.at(reaction.at, partial(self._react_to_text, message, reaction))

    def _happen_to_text(self, message: Message, status: str, error_code: int | None, at: int) -> None:
        """One status comes true: the resource changes at once, the callback follows in its own time."""
        message.status, message.error_code, message.updated_at = status, error_code, at
        if message.sender is None:
            message.sender = self.settings.twilio_sender
        if status == "sent":
            message.sent_at = at
        if message.status_callback is None or status not in _STATUSES_CALLED_BACK:
            return
        form = twilio.status_form(message, status, error_code, at)
        for number, posting in enumerate(
            people.postings(self.settings.seed, f"{message.key}|{status}", self._unreliability)
        ):
            parcel = Parcel(
                key=f"{message.sid}|{status}|{number}",
                kind=ParcelKind.TWILIO_STATUS,
                lane=message.sid,
                url=message.status_callback,
                form=form,
            )
            self._post(at + posting.lag, parcel)

    def _react_to_text(self, message: Message, reaction: Reaction) -> None:
        if reaction.kind is ReactionKind.REPLY:
            assert message.sender is not None  # it was sent
            self._take_inbound(reaction.at, message.to, message.sender, message.service_sid, reaction.text, message.sid)
        elif reaction.kind is ReactionKind.CLICK:
            self._click(message.sid, message.body, reaction, message.callback_arguments.get("rk_lead"))

    def _take_inbound(self, at: int, sender: str, to: str, service: str | None, body: str, cause: str = "") -> Message:
        word = twilio.opt_out_word(body)
        scopes = {to, service} - {None}
        for scope in scopes:
            assert scope is not None
            if word == "STOP":
                self.opted_out.setdefault((scope, sender), at)
            elif word == "START":
                self.opted_out.pop((scope, sender), None)
        number = len(self.messages.in_order)
        # A reply is told apart by the text it answers, so that its sid does not depend on what else came in between.
        mark = f"{sender}|{to}|{body}|{cause or number}".encode()
        message = Message(
            sid=twilio.message_sid(self.settings.seed, 0, at, mark),
            account_sid=self.settings.twilio_account_sid,
            number=number,
            to=to,
            sender=sender,
            service_sid=service,
            body=body,
            media=0,
            status_callback=None,
            accepted_at=at,
            starts_at=at,
            status="received",
            segments=twilio.count_segments(body),
            direction="inbound",
            sent_at=at,
            updated_at=at,
        )
        self.messages.add(message)
        url = f"{self.settings.public_url}/webhooks/twilio/inbound#rc=5&rp=all"
        parcel = Parcel(
            f"{message.sid}|inbound",
            ParcelKind.TWILIO_INBOUND,
            cause or message.sid,
            url=url,
            form=twilio.inbound_form(message),
        )
        self._due.append(parcel)
        return message

    # --- people's own requests

    def _click(self, lane: str, body: str, reaction: Reaction, lead: str | None) -> None:
        link = next((link for link in _LINK.findall(body) if "/c/" in link), None)
        if link is None:
            return
        then = None
        if reaction.signs_in_after is not None and lead:
            due = reaction.at + reaction.signs_in_after
            then = partial(self.timeline.at, due, partial(self._sign_in, lane, lead, due, reaction.user_agent))
        self._ask(f"{lane}|click", lane, "GET", link, reaction.user_agent, then)

    def _ask(
        self, key: str, lane: str, method: str, url: str, user_agent: str, then: partial[None] | None = None
    ) -> None:
        headers = {"User-Agent": user_agent, "Accept": "text/html,*/*"}
        self._due.append(Parcel(key, ParcelKind.PERSON, lane, b"", method, url, headers=headers, then=then))

    def _sign_in(self, lane: str, lead: str, at: int, user_agent: str) -> None:
        """The product tells of a log-in, in the shape of Segment's HTTP API."""
        body = to_json(
            {
                "type": "track",
                "messageId": f"sandbox-{sendgrid.event_id(lane, 'logged_in')}",
                "userId": lead,
                "event": "logged_in",
                "timestamp": iso(at),
                "properties": {"made_up": True},
                "context": {"userAgent": user_agent},
            }
        )
        headers = {"Content-Type": "application/json", "Authorization": self._segment_authorization}
        url = f"{self.settings.receiver_url}/v1/track"
        self._due.append(Parcel(f"{lane}|logged_in", ParcelKind.PERSON, lane, body, "POST", url, headers=headers))

    @property
    def _segment_authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.settings.segment_write_key.get_secret_value()}:".encode()).decode()

    def _post(self, due: int, parcel: Parcel) -> None:
        self.timeline.at(due, partial(self._put_in_post, parcel))

    def _put_in_post(self, parcel: Parcel) -> None:
        self._due.append(parcel)

    # --- reloading

    def _reload(self) -> None:
        """Live through the record once more, without posting anything."""
        for line, raw in self.record.read():
            match line["kind"]:
                case "mail":
                    document = raw[raw.index(b',"document":') + len(b',"document":') : -2]
                    self._add_mail(MailRequest(line["id"], line["at"], document, line["recipients"]))
                case "text":
                    self._add_text(line["sid"], line["at"], [(name, value) for name, value in line["form"]])
                case "inbound":
                    self._add_inbound(line["at"], line["sender"], line["to"], line["body"])
                case "suppress":
                    self.suppressions.add(SuppressionList(line["list"]), line["email"], line["at"])
                case "suppress_in_group":
                    self.suppressions.add_to_group(line["group"], line["email"])
                case "unsuppress_in_group":
                    self.suppressions.remove_from_group(line["group"], line["email"])
                case "deactivate":
                    self.deactivated[line["day"]] = line["numbers"]
                case "consent":
                    self._set_consent(line["sender"], line["number"], line["opted_out"], line["at"])
                case "unsuppress":
                    self.suppressions.remove(SuppressionList(line["list"]), line["email"])
                case "update":
                    message = self.messages.by_sid[line["sid"]]
                    self._update_text(message, cancel=line["cancel"], redact=line["redact"], at=line["at"])
                case "delivered":
                    self._relive(line)

    def _relive(self, line: dict[str, Any]) -> None:
        again: dict[str, int] = dict(line["again"])
        refused = set(line["refused"])
        self._due, self._again = [*self._again, *self._due], []
        while True:
            self.timeline.run_until(line["through"])
            load, self._due = self._due, []
            if not load:
                return
            for parcel in load:
                if parcel.key in again:
                    parcel.first_tried_at = again[parcel.key]
                    self._again.append(parcel)
                elif parcel.then is not None and parcel.key not in refused:
                    parcel.then()

    def close(self) -> None:
        self.record.close()


def iso(instant: int) -> str:
    """An instant as ISO 8601 in UTC."""
    return datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")


def _real_time() -> float:
    """Unix seconds of the machine, whatever the logical clock says: what a rate is judged by in the record."""
    return SystemClock().now().timestamp()


def _signing_key(settings: SandboxSettings) -> ec.EllipticCurvePrivateKey:
    path = settings.sendgrid_signing_key_path
    return generate_signing_key() if path is None else load_or_create_signing_key(path)


def _throttles(settings: SandboxSettings) -> list[FaultRule]:
    rates = (
        (Provider.SENDGRID, Unit.MESSAGES, settings.sendgrid_messages_per_second),
        (Provider.TWILIO, Unit.MESSAGES, settings.twilio_messages_per_second),
        (Provider.TWILIO, Unit.SEGMENTS, settings.twilio_segments_per_second),
    )
    return [
        FaultRule(kind=FaultKind.THROTTLE, provider=provider, unit=unit, per_second=rate)
        for provider, unit, rate in rates
        if rate is not None
    ]
