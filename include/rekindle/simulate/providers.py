"""The providers, in this very process: they take what they are handed, and the world answers in its own time.

What becomes of a message and who reacts to it is what the sandbox's made-up networks and people do
(`rekindle.sandbox.people`), so the same seed gives the same life here and there.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rekindle.channels.ports import LookupResult, Outcome, OutcomeKind, OutgoingEmail, OutgoingSms
from rekindle.channels.twilio import ListedMessage
from rekindle.clock import Clock
from rekindle.identity import address_hash
from rekindle.sandbox import people
from rekindle.sandbox.people import Dice, Reaction, ReactionKind
from rekindle.simulate import arrivals
from rekindle.vocabulary import ErrorClass, Stream

#: Share of calls whose answer is lost on the way, and of these the share that had arrived.
LOST_ANSWERS = 0.002
LOST_AND_TAKEN = 0.5
#: Share of questions that are answered with one of the expected words.
ANSWERED = 0.35


@dataclass(frozen=True, slots=True)
class InProduct:
    """Somebody did something in the product: signed in, or what a campaign calls by name."""

    lead_id: str
    at: datetime
    event: str | None = None  # None: signed in


@dataclass(frozen=True, slots=True, order=True)
class _Happening:
    at: datetime
    number: int
    stream: Stream | None = field(compare=False)
    line: Mapping[str, Any] | InProduct = field(compare=False)


@dataclass
class Happened:
    """What came to be known since the last look: lines by stream, and what was done in the product."""

    lines: dict[Stream, list[Mapping[str, Any]]]
    in_product: list[InProduct]


class World:
    """Takes messages in as both providers and lets people and networks react later."""

    def __init__(self, seed: int, clock: Clock, answers: Mapping[tuple[str, str], Sequence[str]] | None = None) -> None:
        """`answers`: campaign and step id of a question → words people may answer with."""
        self.accepted = 0
        self._seed = seed
        self._clock = clock
        self._answers = answers or {}
        self._coming: list[_Happening] = []
        self._numbers = itertools.count()
        self._texts: dict[str, list[ListedMessage]] = defaultdict(list)
        self._stopped: set[str] = set()

    def until(self, now: datetime) -> Happened:
        """Everything that has happened by `now` and was not told yet."""
        happened = Happened(defaultdict(list), [])
        elements: list[Any] = []
        while self._coming and self._coming[0].at <= now:
            one = heapq.heappop(self._coming)
            if isinstance(one.line, InProduct):
                happened.in_product.append(one.line)
            elif one.stream is Stream.SENDGRID_EVENTS:
                elements.append(one.line)
            elif one.stream is not None:
                happened.lines[one.stream].append(one.line)
        if elements:
            happened.lines[Stream.SENDGRID_EVENTS].append(arrivals.line(now, json.dumps(elements)))
        return happened

    def find_texts(self, number: str, since: datetime) -> Sequence[ListedMessage]:
        """What Twilio's list holds for a number: the proof reconcile looks for."""
        return [text for text in self._texts[number] if text.date_created >= since]

    def look_up(self, e164: str) -> LookupResult:
        """Twilio Lookup's word on a made-up number."""
        return LookupResult(people.line_type(self._seed, e164), True, (), None, None)

    # --- e-mail

    def take_email(self, email: OutgoingEmail) -> Outcome:
        """SendGrid's answer to one personalization."""
        lost = self._lost(email.message_id)
        if lost is None or lost:
            self._deliver_email(email)
        return _unknown(email.message_id, "sendgrid") if lost is not None else _taken(email.message_id, "sendgrid")

    def _deliver_email(self, email: OutgoingEmail) -> None:
        self.accepted += 1
        now = int(self._clock.now().timestamp())
        for event in people.mail_delivery(self._seed, email.to, email.message_id, now):
            at = _instant(event.at)
            line = arrivals.mail_event(email.message_id, event.event, at, email.to, **event.fields)
            self._comes(at, Stream.SENDGRID_EVENTS, line)
            if event.event == "delivered":
                for reaction in people.mail_reactions(self._seed, email.to, email.message_id, event.at):
                    self._react_to_email(email, reaction)

    def _react_to_email(self, email: OutgoingEmail, reaction: Reaction) -> None:
        at, kind = _instant(reaction.at), reaction.kind
        told = {ReactionKind.OPEN: "open", ReactionKind.MACHINE_OPEN: "open", ReactionKind.COMPLAIN: "spamreport"}
        if kind in told:
            words: dict[str, Any] = {"useragent": reaction.user_agent}
            words |= {"sg_machine_open": True} if kind is ReactionKind.MACHINE_OPEN else {}
            event = arrivals.mail_event(email.message_id, told[kind], at, email.to, **words)
            self._comes(at, Stream.SENDGRID_EVENTS, event)
        elif kind is ReactionKind.UNSUBSCRIBE:
            line = arrivals.unsubscribe(email.message_id, address_hash(email.to), "email", at)
            self._comes(at, Stream.UNSUBSCRIBES, line)
        else:
            self._follow_link(email.message_id, email.lead_id, reaction)

    # --- texts

    def take_text(self, sms: OutgoingSms) -> Outcome:
        """Twilio's answer to one request."""
        if sms.to in self._stopped:  # Twilio's own list: 21610 comes before anything leaves
            return Outcome(
                *(sms.message_id, OutcomeKind.REFUSED, "twilio", None, "21610", ErrorClass.PERMANENT),
                *(None, None, None, "the recipient has replied STOP"),
            )
        lost = self._lost(sms.message_id)
        if lost is None or lost:
            self._deliver_text(sms)
        return _unknown(sms.message_id, "twilio") if lost is not None else _taken(sms.message_id, "twilio")

    def _deliver_text(self, sms: OutgoingSms) -> None:
        self.accepted += 1
        now = self._clock.now()
        sid = arrivals.text_sid(sms.message_id)
        body_hash = hashlib.sha256(sms.body.encode()).hexdigest()
        self._texts[sms.to].append(ListedMessage(sid, address_hash(sms.to), body_hash, "queued", now))
        for status in people.sms_delivery(self._seed, sms.to, sms.message_id, int(now.timestamp())):
            at, code = _instant(status.at), str(status.error_code) if status.error_code else None
            self._comes(at, Stream.TWILIO_STATUS, arrivals.text_status(sms.message_id, status.status, at, sms.to, code))
            if status.status == "delivered":
                self._react_to_text(sms, status.at)

    def _react_to_text(self, sms: OutgoingSms, delivered_at: int) -> None:
        reactions = people.sms_reactions(self._seed, sms.to, sms.message_id, delivered_at)
        replies = [one for one in reactions if one.kind is ReactionKind.REPLY]
        dice = Dice.of(self._seed, "answer", sms.message_id)
        question = sms.campaign_id, sms.step_id
        if not replies and question in self._answers and dice.chance("answers", ANSWERED):
            after = delivered_at + dice.between("after", 30, 20 * people.HOUR)
            words = dice.pick("words", self._answers[question])
            replies = [Reaction(after, ReactionKind.REPLY, text=words)]
        for reaction in replies:
            at = _instant(reaction.at)
            if reaction.text in people.STOP_REPLIES:
                self._stopped.add(sms.to)
            self._comes(at, Stream.TWILIO_INBOUND, arrivals.inbound_text(sms.to, reaction.text, at))
        for reaction in reactions:
            if reaction.kind is not ReactionKind.REPLY:
                self._follow_link(sms.message_id, sms.lead_id, reaction)

    # --- both

    def _follow_link(self, message_id: str, lead_id: str, reaction: Reaction) -> None:
        at = _instant(reaction.at)
        method = reaction.text or "GET"
        line = arrivals.click(message_id, at, agent=reaction.user_agent, method=method)
        self._comes(at, Stream.LINK_CLICKS, line)
        if reaction.signs_in_after is not None:
            signed_in = at + timedelta(seconds=reaction.signs_in_after)
            self._comes(signed_in, None, InProduct(lead_id, signed_in))

    def acts(self, lead_id: str, at: datetime, event: str | None = None) -> None:
        """The lead will sign in, or do this, by itself, whatever we do."""
        self._comes(at, None, InProduct(lead_id, at, event))

    def _lost(self, message_id: str) -> bool | None:
        """None: the answer arrives. Else it is lost, and this says whether the provider had taken the message."""
        dice = Dice.of(self._seed, "call", message_id)
        return dice.chance("taken", LOST_AND_TAKEN) if dice.chance("lost", LOST_ANSWERS) else None

    def _comes(self, at: datetime, stream: Stream | None, line: Mapping[str, Any] | InProduct) -> None:
        heapq.heappush(self._coming, _Happening(at, next(self._numbers), stream, line))


@dataclass(frozen=True)
class InProcessMail:
    """`EmailChannel` without a network."""

    world: World

    def send(self, batch: Sequence[OutgoingEmail]) -> list[Outcome]:
        """One outcome per message, in the batch's order."""
        return [self.world.take_email(email) for email in batch]


@dataclass(frozen=True)
class InProcessTexts:
    """`SmsChannel` without a network."""

    world: World

    def send(self, sms: OutgoingSms) -> Outcome:
        """What became of the text."""
        return self.world.take_text(sms)


def _taken(message_id: str, provider: str) -> Outcome:
    proof = arrivals.text_sid(message_id) if provider == "twilio" else f"x{message_id}"
    return Outcome(message_id, OutcomeKind.ACCEPTED, provider, proof, None, None, None, None, None, "accepted")


def _unknown(message_id: str, provider: str) -> Outcome:
    detail = "the answer was lost"
    return Outcome(
        message_id, OutcomeKind.UNKNOWN, provider, None, "timeout", ErrorClass.AMBIGUOUS, None, None, None, detail
    )


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
