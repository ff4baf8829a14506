"""What should happen, in plain Python and as little of it as will do: written from the promises of the design (who
enters, who moves, who ends, who is written to), not from the statements.

The machine does every thing twice, once here and once in the real warehouse, and compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rekindle import identity

CAMPAIGN = "cold_lead_reengagement"
SALT = "salt-0"  # holds out the second and the fifth of six
HOLDOUT_SHARE = 0.3
CAP_MESSAGES, CAP = 1, timedelta(days=2)
RE_ENTRY = timedelta(days=3)

#: The journey: a step sends on a channel, or waits.
CHANNEL_OF = {"probe": "email", "nudge": "sms"}
WAIT_OF = {"listen_after_probe": timedelta(hours=24), "listen_after_nudge": timedelta(hours=48)}
STEPS = ("probe", "listen_after_probe", "nudge", "listen_after_nudge")
EXITED = "exited"

LEASE = timedelta(minutes=30)
AGE_OUT = timedelta(hours=72)
PATIENCE = timedelta(days=7)
DAY = timedelta(days=1)

RANK = {
    "planned": 0, "claimed": 10, "attempting": 20, "unknown": 30, "aged_out": 40, "accepted": 50, "sent": 60,
    "delivered": 70, "undelivered": 80, "withheld": 90, "failed": 90, "expired": 90,
}  # fmt: skip
LEFT = frozenset({"accepted", "sent", "delivered", "undelivered", "withheld", "aged_out"})
STOPS = frozenset({"unsubscribed", "complained"})
REFUSE_EVERYWHERE = frozenset({"unsubscribed", "complained", "provider_optout"})


@dataclass(frozen=True)
class Said:
    """What one kind of news means: the status it proves, the exit it causes, the suppression it writes."""

    status: str | None = None
    exit: str | None = None
    suppression: str | None = None
    returns: bool = False  # asks for messages again


NEWS = {
    "email": {
        "processed": Said("accepted"),
        "deferred": Said("accepted"),
        "delivered": Said("delivered"),
        "open": Said("delivered"),
        "click": Said("delivered", "re_engaged"),
        "bounce": Said("undelivered", "invalid_email", "hard_bounced"),
        "blocked": Said("undelivered"),
        "spamreport": Said("delivered", "complained", "complained"),
        "group_unsubscribe": Said("delivered", "unsubscribed", "unsubscribed"),
        "link_click": Said(None, "re_engaged"),
        "robot_click": Said(),
        "link_unsubscribe": Said(None, "unsubscribed", "unsubscribed"),
    },
    "sms": {
        "sent": Said("sent"),
        "delivered": Said("delivered"),
        "undelivered:30003": Said("undelivered", "sms_failed"),  # unreachable just now: says nothing about the number
        "undelivered:30005": Said("undelivered", "invalid_phone", "invalid_number"),
        "undelivered:30007": Said("undelivered"),  # filtered: ours to mend, nobody's bad number
        "link_click": Said(None, "re_engaged"),
        "robot_click": Said(),
        "link_unsubscribe": Said(None, "unsubscribed", "unsubscribed"),
    },
}
TEXTS = {"STOP": Said(None, "unsubscribed", "unsubscribed"), "who is this?": Said(None, "replied")}
COMES_BACK = Said(returns=True)


@dataclass
class Lead:
    lead_id: str
    person_id: str
    email: str | None
    phone: str | None
    zone: str | None  # where she is, by her profile or her number
    may_be_texted: bool = True

    def hash_for(self, channel: str) -> str | None:
        address = self.email if channel == "email" else self.phone
        return identity.address_hash(address) if address else None

    @property
    def email_hash(self) -> str | None:
        return self.hash_for("email")

    @property
    def phone_hash(self) -> str | None:
        return self.hash_for("sms")

    @property
    def hashes(self) -> set[str]:
        return {hashed for channel in ("email", "sms") if (hashed := self.hash_for(channel))}


@dataclass(eq=False)
class Entry:
    entry_id: str
    lead: Lead
    arm: str
    cohort_date: date
    entered_at: datetime
    stage: str
    since: datetime
    due_at: datetime | None
    exits: set[str] = field(default_factory=set)  # what it may have ended with, when several things ended it at once

    def enter(self, stage: str, since: datetime, due_at: datetime) -> None:
        self.stage, self.since, self.due_at = stage, since, due_at

    def end(self, exits: Iterable[str]) -> None:
        self.stage, self.due_at, self.exits = EXITED, None, set(exits)

    @property
    def is_active(self) -> bool:
        return self.stage != EXITED


@dataclass(eq=False)
class Message:
    message_id: str
    entry: Entry
    stage: str
    address_hash: str
    status: str
    planned_at: datetime
    expires_at: datetime
    batch: str = ""
    attempt: int | None = None
    lease: datetime | None = None
    attempting_at: datetime | None = None
    accepted_at: datetime | None = None
    settled_at: datetime | None = None
    refusal_exit: str | None = None
    held_until: datetime | None = None  # the provider asked to wait

    def is_held(self, instant: datetime) -> bool:
        return self.held_until is not None and self.held_until > instant

    @property
    def channel(self) -> str:
        return CHANNEL_OF[self.stage]

    @property
    def left_at(self) -> datetime:
        return self.attempting_at or self.settled_at or self.planned_at


@dataclass(frozen=True)
class Heard:
    said: Said
    at: datetime
    message: Message | None
    address_hash: str
    channel: str


@dataclass
class Model:
    """The reference. Every method is one thing that happens; `now` is the clock, `as_of` the run's instant."""

    leads: dict[str, Lead] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    #: Address hash, channel and reason of what a provider refused for the address's sake.
    refused: set[tuple[str, str, str]] = field(default_factory=set)
    returns: dict[tuple[str, str], datetime] = field(default_factory=dict)  # address hash, channel → asked again
    consents: dict[tuple[str, str], tuple[datetime, str]] = field(default_factory=dict)
    life: list[tuple[str, datetime]] = field(default_factory=list)
    newest: dict[str, datetime] = field(default_factory=dict)
    attempts: int = 0

    # --- who is allowed what

    def active(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.is_active]

    def is_refused(self, hashes: set[str], address_hash: str | None, channel: str) -> bool:
        """She said stop on any of her addresses, or this very address can not take this channel."""
        return any(
            (hashed in hashes and reason in REFUSE_EVERYWHERE) or (hashed == address_hash and on == channel)
            for hashed, on, reason in self.suppressions()
        )

    def suppressions(self) -> set[tuple[str, str, str]]:
        """What stands against writing; only an unsubscribe is taken back by asking for messages again, later."""
        return self.refused | {
            (news.address_hash, news.channel, news.said.suppression)
            for news in self.heard
            if news.said.suppression
            and (
                news.said.suppression != "unsubscribed"
                or news.at > self.returns.get((news.address_hash, news.channel), news.at - DAY)
            )
        }

    def hear_consent(self, address_hash: str, channel: str, at: datetime, action: str) -> None:
        """The latest word counts, whenever it is heard."""
        if at >= self.consents.get((address_hash, channel), (at, ""))[0]:
            self.consents[address_hash, channel] = (at, action)

    def consents_to(self, address_hash: str, channel: str) -> bool:
        return self.consents.get((address_hash, channel), (None, "none"))[1] == "granted"

    @staticmethod
    def written_to(hashes: set[str], since: datetime, messages: Iterable[Message]) -> int:
        """What is withheld from a holdout counts as it would have counted."""
        return sum(
            message.address_hash in hashes and message.status not in ("expired", "failed") and message.left_at > since
            for message in messages
        )

    def is_older_than_finished(self, activity: str, as_of: datetime) -> bool:
        """A finished day is never redone over a newer one; otherwise the day counts as finished from now on."""
        if as_of < self.newest.get(activity, as_of):
            return True
        self.newest[activity] = as_of
        return False

    # --- entering

    def freeze(self, as_of: datetime, crossing: Iterable[str]) -> None:
        by_person: dict[str, Lead] = {}
        for lead_id in sorted(crossing):
            by_person.setdefault(self.leads[lead_id].person_id, self.leads[lead_id])
        for person_id, lead in by_person.items():
            own = [entry for entry in self.entries if entry.lead.person_id == person_id]
            if any(entry.is_active or as_of.date() - entry.cohort_date < RE_ENTRY for entry in own):
                continue
            known = [entry.arm for entry in self.entries if entry in own or entry.lead.hashes & lead.hashes]
            self.entries.append(
                Entry(
                    identity.entry_id(CAMPAIGN, lead.lead_id, as_of.date().isoformat()),
                    lead,
                    arm="holdout" if "holdout" in known or (not known and _draw(person_id)) else "treatment",
                    cohort_date=as_of.date(),
                    entered_at=as_of,
                    stage=STEPS[0],
                    since=as_of,
                    due_at=as_of,
                )
            )

    # --- moving and ending

    def end_journeys(self, as_of: datetime) -> None:
        for entry in self.active():
            causes = set(self._causes(entry, as_of))
            if causes:
                entry.end(causes & STOPS or causes)

    def _causes(self, entry: Entry, as_of: datetime) -> Iterable[str]:
        if any(who == entry.lead.lead_id and entry.entered_at < at <= as_of for who, at in self.life):
            yield "re_engaged"
        for news in self.heard:
            is_about_entry = news.message is not None and news.message.entry is entry
            is_about_person = news.address_hash in entry.lead.hashes and news.at >= entry.entered_at
            if news.said.exit and (
                is_about_entry or (is_about_person and news.said.exit in (*STOPS, "replied"))
            ):  # fmt: skip
                yield news.said.exit
        for message in self.messages.values():
            if message.entry is entry and message.status == "failed":
                assert message.refusal_exit is not None
                yield message.refusal_exit

    def advance(self, as_of: datetime) -> None:
        self.end_journeys(as_of)
        for stage, following in zip(STEPS, (*STEPS[1:], EXITED), strict=True):
            for entry in self.active():
                if entry.stage != stage:
                    continue
                if stage in CHANNEL_OF:
                    gone = [m for m in self._messages_at(entry, stage) if m.status in LEFT]
                    for message in gone:
                        since = message.accepted_at or message.left_at
                        entry.enter(following, since, since + WAIT_OF[following])
                elif entry.due_at is not None and entry.due_at <= as_of:
                    if following == EXITED:
                        entry.end({"archived"})
                    else:
                        entry.enter(following, entry.due_at, entry.due_at)

    def _messages_at(self, entry: Entry, stage: str) -> list[Message]:
        return [m for m in self.messages.values() if m.entry is entry and m.stage == stage]

    # --- planning

    def plan(self, channel: str, as_of: datetime) -> None:
        stage = next(step for step, on in CHANNEL_OF.items() if on == channel)
        for entry in self.active():
            if entry.stage == stage and entry.due_at is not None and entry.due_at <= as_of:
                tries = self._messages_at(entry, stage)
                if all(message.status == "expired" and not message.is_held(as_of) for message in tries):
                    self._judge(entry, channel, as_of, len(tries) + 1)

    def _judge(self, entry: Entry, channel: str, as_of: datetime, number: int) -> None:
        lead, address_hash = entry.lead, entry.lead.hash_for(channel)
        if self.is_refused(lead.hashes, address_hash, channel):
            return entry.end({"suppressed"})
        if address_hash is None:
            return self._skip(entry, as_of)
        if channel == "sms" and not lead.may_be_texted:
            return entry.end({"invalid_phone"})
        if not self.consents_to(address_hash, channel):
            return self._skip(entry, as_of)
        if self.written_to(lead.hashes, as_of - CAP, self.messages.values()) >= CAP_MESSAGES:
            return entry.enter(entry.stage, entry.since, as_of + DAY)
        if not is_open(lead.zone, as_of) and entry.since <= as_of - PATIENCE:
            return self._skip(entry, as_of)
        if lead.zone is None:
            return entry.enter(entry.stage, entry.since, as_of + DAY)
        if not is_open(lead.zone, as_of):
            return entry.enter(entry.stage, entry.since, next_opening(lead.zone, as_of))
        message_id = identity.message_id(entry.entry_id, entry.stage, f"attempt-{number}", channel)
        withheld = entry.arm == "holdout"
        self.messages[message_id] = Message(
            message_id,
            entry,
            entry.stage,
            address_hash,
            status="withheld" if withheld else "planned",
            planned_at=as_of,
            expires_at=closing(lead.zone, as_of),
            settled_at=as_of if withheld else None,
        )
        return None

    @staticmethod
    def _skip(entry: Entry, as_of: datetime) -> None:
        if entry.stage == "probe":
            entry.enter("nudge", as_of, as_of)
        else:
            entry.end({"no_reachable_channel"})

    # --- sending

    def claim(self, batch: str, now: datetime) -> int:
        """One attempt takes what may still go; returns the attempt's number."""
        self.attempts += 1
        held = [m for m in self.messages.values() if m.batch == batch and m.status == "planned"]
        for message in held:
            if message.expires_at <= now:
                message.status, message.settled_at = "expired", now
        held = [message for message in held if message.status == "planned"]
        fates = [(message, self._recheck(message, now)) for message in held]
        for message, status in fates:
            message.status = status
            if status == "expired":
                message.settled_at = now
            if status == "claimed":
                message.attempt, message.lease = self.attempts, now + LEASE
        return self.attempts

    def _recheck(self, message: Message, now: datetime) -> str:
        entry = message.entry
        if (
            entry.stage != message.stage
            or self.is_refused(entry.lead.hashes, message.address_hash, message.channel)
            or not self.consents_to(message.address_hash, message.channel)
        ):
            return "expired"
        before = [
            other
            for other in self.messages.values()
            if other is not message and (other.status != "planned" or other.message_id < message.message_id)
        ]
        written = self.written_to(entry.lead.hashes, now - CAP, before)
        return "planned" if written >= CAP_MESSAGES or message.is_held(now) else "claimed"

    def may_begin(self, message: Message, attempt: int, now: datetime) -> bool:
        """Still this attempt's, under a running lease, inside its time."""
        return (
            message.status == "claimed"
            and message.attempt == attempt
            and message.lease is not None
            and message.lease > now
            and message.expires_at > now
        )

    def begin(self, message: Message, attempt: int, now: datetime) -> None:
        assert self.may_begin(message, attempt, now), "sent without a claim that holds"
        message.status, message.attempting_at = "attempting", now

    def record(self, message: Message, attempt: int, fate: Fate, now: datetime) -> None:
        """What the provider said, if the attempt still has a say."""
        repaired = message.status == "unknown" and fate.status == "accepted"
        if fate.status is None or message.attempt != attempt or (message.status != "attempting" and not repaired):
            return
        message.status = fate.status
        message.refusal_exit = fate.exit
        if fate.status == "accepted":
            message.accepted_at = now
        if fate.status == "failed":
            message.settled_at = now
        if fate.status == "planned":
            message.attempt = None
        if fate.hold:
            message.held_until = max(message.held_until or now, now + fate.hold)
        if fate.suppression:
            self.refused.add((message.address_hash, message.channel, fate.suppression))

    def release(self, attempt: int) -> None:
        for message in self.messages.values():
            if message.attempt == attempt and message.status == "claimed":
                message.status, message.attempt = "planned", None

    # --- hearing

    def ingest(self, news: Iterable[Heard], as_of: datetime) -> None:
        for each in news:
            self.heard.append(each)
            message, status = each.message, each.said.status
            if message is not None and status is not None and RANK[status] > RANK[message.status]:
                message.accepted_at = message.accepted_at or message.attempting_at or each.at
                message.status = status
            if each.said.suppression in STOPS:
                self._take_back(each)
            if each.said.returns:
                known = self.returns.get((each.address_hash, each.channel), each.at)
                self.returns[each.address_hash, each.channel] = max(known, each.at)
                self.hear_consent(each.address_hash, each.channel, each.at, "granted")
        self.end_journeys(as_of)

    def _take_back(self, news: Heard) -> None:
        """Who says stop on one address takes back consent on all that the same accounts have."""
        self.hear_consent(news.address_hash, news.channel, news.at, "revoked")
        for lead in self.leads.values():
            if news.address_hash in lead.hashes:
                for channel in ("email", "sms"):
                    if hashed := lead.hash_for(channel):
                        self.hear_consent(hashed, channel, news.at, "revoked")

    def reconcile(self, now: datetime, is_listed: Callable[[str], bool]) -> None:
        for message in self.messages.values():
            if message.lease is not None and message.lease <= now:
                if message.status == "claimed":
                    message.status, message.attempt = "planned", None
                elif message.status == "attempting":
                    message.status = "unknown"
            if message.status == "unknown":
                assert message.attempting_at is not None
                if message.channel == "sms" and is_listed(message.message_id):
                    message.status, message.accepted_at = "accepted", message.attempting_at
                elif message.attempting_at <= now - AGE_OUT:
                    message.status, message.settled_at = "aged_out", now


@dataclass(frozen=True)
class Fate:
    """How the provider treats one message, and what the ledger should make of the answer."""

    is_accepted: bool
    status: str | None  # None: the answer never comes
    exit: str | None = None
    suppression: str | None = None
    hold: timedelta | None = None  # refused for now: not to be tried again before


def _draw(person_id: str) -> bool:
    digits = hashlib.sha256(f"{SALT}|{CAMPAIGN}|{person_id}".encode()).hexdigest()[:8]
    return int(digits, 16) / 2**32 < HOLDOUT_SHARE


def is_open(zone: str | None, instant: datetime) -> bool:
    """Monday to Saturday, eight to eight, where she is; where nobody knows, never."""
    if zone is None:
        return False
    local = instant.astimezone(ZoneInfo(zone))
    return local.weekday() != 6 and time(8) <= local.time() < time(20)


def closing(zone: str, instant: datetime) -> datetime:
    return datetime.combine(instant.astimezone(ZoneInfo(zone)).date(), time(20), ZoneInfo(zone)).astimezone(UTC)


def next_opening(zone: str, instant: datetime) -> datetime:
    local = instant.astimezone(ZoneInfo(zone))
    for ahead in range(3):
        opening = datetime.combine(local.date() + timedelta(days=ahead), time(8), ZoneInfo(zone)).astimezone(UTC)
        if opening > instant and is_open(zone, opening):
            return opening
    raise AssertionError("a week has six open days")
