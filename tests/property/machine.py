"""The machine: random interleavings of everything that happens to a campaign, each done in the real warehouse and in
the reference model, compared after every step.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.channels.provider_errors import Provider, ProviderErrors
from rekindle.channels.twilio import ListedMessage
from rekindle.dispatch.batch import RETRY_REFUSED_AFTER
from rekindle.errors import ConfigurationError, RefusedError
from rekindle.identity import address_hash
from rekindle.vocabulary import Channel

EMAIL, SMS = Channel.EMAIL, Channel.SMS
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PAUSES = (10 * MINUTE, 31 * MINUTE, 3 * HOUR, 9 * HOUR, timedelta(days=1), timedelta(days=2), timedelta(days=4))

#: Who lives in the world, in the words of `World.lead`; `zone` is where the model takes them to be.
PEOPLE: dict[str, dict[str, Any]] = {
    "New Yorker": {"time_zone": "America/New_York", "zone": "America/New_York"},
    "somebody in Tokyo": {"time_zone": "Asia/Tokyo", "zone": "Asia/Tokyo"},
    "somebody with a number in San Francisco": {"time_zone": None, "zone": "America/Los_Angeles"},
    "somebody from nowhere": {"time_zone": None, "phone": None, "zone": None},
    "somebody without e-mail": {"email": None, "zone": "America/New_York"},
    "somebody who gave no number for texts": {"consents": ("email",), "zone": "America/New_York"},
    "somebody with a landline": {"may_be_texted": False, "zone": "America/New_York"},
    "a second account of the first": {"is_second_account": True, "zone": "America/New_York"},
}

#: How a provider treats a message: whether it took it, and the row of the reviewed error table of its answer.
#: None: the answer never comes.
FATES: dict[str, tuple[bool, tuple[str, int] | str | None]] = {
    "taken": (True, "accepted"),
    "busy": (False, ("429", 429)),
    "busy for a day": (False, ("429", 429)),
    "no such address": (False, ("", 400)),
    "our credentials are wrong": (False, ("401", 401)),
    "taken, but the answer is a server error": (True, ("500", 500)),
    "lost, and the answer is a server error": (False, ("500", 500)),
    "taken, but no answer": (True, None),
    "lost, and no answer": (False, None),
}
_NO_SUCH_ADDRESS = {"sendgrid": "400:personalizations.to", "twilio": "21614"}

_fates = st.lists(st.sampled_from(["taken", "taken", "taken", *FATES]), min_size=1, max_size=3)
_deaths = st.sampled_from([None, None, None, None, "composing", "before the call", "after the call"])
_meanwhile = st.sampled_from(
    [None, None, None, None, "another attempt", "the lease runs out", "a stop arrives", "a bounce arrives"]
)
_when = st.sampled_from(["composing", "calling"])
_chunks = st.sampled_from([1, 1_000])
_channels = st.sampled_from([EMAIL, SMS])


class WorkerDies(BaseException):
    """The process is gone: it does nothing any more, not even tidy up."""


class MortalWarehouse:
    """The real warehouse, until whoever uses it is dead."""

    def __init__(self, warehouse: Any) -> None:
        self.warehouse = warehouse
        self.is_dead = False
        self.has_claimed = threading.Event()  # the first transaction of an attempt is its claim

    @property
    def dialect(self) -> Any:
        return self.warehouse.dialect

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        if self.is_dead:
            raise WorkerDies
        try:
            with self.warehouse.transaction() as transaction:
                yield transaction
        finally:
            self.has_claimed.set()


@dataclass
class Attempt:
    """One send task at one batch, with the trouble it will meet. It is the provider as well: what it takes it keeps."""

    machine: Any
    channel: Channel
    batch: str
    warehouse: MortalWarehouse
    fates: Sequence[str] = ("taken",)
    dies: str | None = None
    meanwhile: str | None = None
    when: str = "composing"
    chunk_size: int = 1_000
    number: int = 0
    disturbed: bool = False
    stopped: bool = False
    calls: int = 0

    @property
    def provider(self) -> str:
        return "sendgrid" if self.channel is EMAIL else "twilio"

    # --- as the composer

    @property
    def campaign(self) -> Any:
        return self.machine.world.campaign

    def compose(self, row: dict[str, Any], now: datetime) -> Any:
        composed = self.machine.compose(row, now)
        assert self.warehouse.has_claimed.wait(60)  # composing begins earlier, but the model takes a claim for one step
        self._meanwhile("composing")
        if self.dies == "composing":
            self.warehouse.is_dead = True
        return composed

    # --- as the sender

    def send(self, chunk: Sequence[Any], clock: Any) -> list[Outcome]:
        machine, model, committed_at = self.machine, self.machine.model, self.machine.now()
        for item in chunk:
            model.begin(model.messages[item.message_id], self.number, committed_at)
        self._meanwhile("calling")
        if self.dies == "before the call":
            self.warehouse.is_dead = True
            raise WorkerDies
        fates = [self._fate() for _ in chunk]
        for item, (taken, _, _) in zip(chunk, fates, strict=True):
            if taken:
                machine.take(self, item, committed_at)
        if self.dies == "after the call":
            self.warehouse.is_dead = True
            return [accepted_by(self.provider, item) for item in chunk]
        answers = []
        for item, (_, answer, meaning) in zip(chunk, fates, strict=True):
            model.record(model.messages[item.message_id], self.number, meaning, machine.now())
            if answer is not None:
                answers.append(answer(item))
        return answers

    def _fate(self) -> tuple[bool, Callable[[Any], Outcome] | None, Any]:
        name = self.fates[self.calls % len(self.fates)]
        self.calls += 1
        taken, answer = FATES[name]
        make = self.machine.Fate
        if answer is None:
            return taken, None, make(taken, None)
        if isinstance(answer, str):
            return taken, lambda item: accepted_by(self.provider, item), make(taken, "accepted")
        code, status = (_NO_SUCH_ADDRESS[self.provider], 400) if name == "no such address" else answer
        error = ProviderErrors.load().for_api(Provider(self.provider), code, status)
        asked = timedelta(days=1).total_seconds() if name == "busy for a day" else None
        outcome = error.outcome("", "as told", asked)
        if outcome.kind is OutcomeKind.UNKNOWN:
            meaning = make(taken, "unknown")
        elif name == "no such address":
            meaning = make(taken, "failed", str(outcome.exit), str(outcome.suppression))
        else:
            is_ours = name == "our credentials are wrong"
            self.stopped |= is_ours
            hold = None if is_ours else timedelta(seconds=asked) if asked else RETRY_REFUSED_AFTER
            meaning = make(taken, "planned", hold=hold)
        return taken, lambda item: error.outcome(item.message_id, "as told", asked), meaning

    def _meanwhile(self, when: str) -> None:
        if self.meanwhile is None or self.when != when or self.disturbed:
            return
        self.disturbed = True
        machine = self.machine
        machine.seen(f"{self.meanwhile}, while {when}")
        if self.meanwhile == "another attempt":
            machine.dispatch(self.channel)
        elif self.meanwhile == "the lease runs out":
            machine.wait(31 * MINUTE)
            machine.reconcile()
            machine.dispatch(self.channel)
        else:
            machine.wait(SECOND)  # after the claim: what shares its instant counts as known before it
            kind = "STOP" if self.meanwhile == "a stop arrives" else "a bounce"
            for message in list(machine.model.messages.values()):
                if message.attempt == self.number:
                    machine.somebody_says(message.entry.lead.lead_id, kind)
            machine.ingest()


def accepted_by(provider: str, item: Any) -> Outcome:
    proof = provider_id(provider, item.message_id)
    return Outcome(item.message_id, OutcomeKind.ACCEPTED, provider, proof, None, None, None, None, None, "accepted")


def provider_id(provider: str, message_id: str) -> str:
    return f"x{message_id}" if provider == "sendgrid" else "SM" + address_hash(message_id)[:32]


@dataclass(frozen=True)
class Taken:
    """One message in the provider's own record."""

    message_id: str
    channel: Channel
    body_hash: str
    committed_at: datetime
    taken_at: datetime


@dataclass
class StandingClock:
    """Stands still until it is stepped; in memory."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant

    def step_to(self, instant: datetime) -> None:
        assert instant >= self.instant
        self.instant = instant


@dataclass
class Seen:
    """How often the interesting things happened over all examples: a machine that never meets them proves nothing."""

    counts: dict[str, int] = field(default_factory=dict)

    def __call__(self, what: str, times: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + times


def machine_class(world_module: ModuleType, model_module: ModuleType, template: Path, folder: Path) -> type[Any]:
    """A machine whose worlds are copies of `template` in `folder`."""
    numbers = itertools.count()

    class InstantWorld(world_module.World):
        """A world whose days are instants."""

        @staticmethod
        def at(day: Any) -> datetime:
            return day if isinstance(day, datetime) else world_module.World.at(day)

    def new_world() -> Any:
        world = InstantWorld(
            folder / f"world-{next(numbers)}",
            template,
            holdout={"share": model_module.HOLDOUT_SHARE, "salt": model_module.SALT},
            caps={"messages": model_module.CAP_MESSAGES, "per_days": model_module.CAP.days},
            enter={
                "activation_model": "sync_cold_leads",
                "re_entry": {"after_days": model_module.RE_ENTRY.days},
                "maximum_cohort_size": 2_000,
            },
            steps=STEPS,
        )
        world.clock = StandingClock(world_module.START)
        return world

    class Machine(Rules):
        Fate = model_module.Fate
        models = model_module
        words = world_module
        make_world = staticmethod(new_world)
        seen = Seen()

    return Machine


#: Shorter waits than the campaign's of the repository, so that few steps see a whole journey.
STEPS = [
    {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Did we get in your way?"}},
    {"id": "listen_after_probe", "wait": "24h"},
    {"id": "nudge", "sms": {"template": "nudge.txt.j2", "max_segments": 2}},
    {"id": "listen_after_nudge", "wait": "48h"},
    {"id": "archive", "end": "archived"},
]


class Rules(RuleBasedStateMachine):
    """What may happen, in any order. Every rule leaves warehouse and model in the same state, or the example fails."""

    models: ModuleType
    words: ModuleType
    make_world: Callable[[], Any]
    seen: Seen

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()
        self.model = self.models.Model()
        self.record: list[Taken] = []
        self.landed: list[Any] = []  # news that lies in the landing zone and was not taken in
        self.crossed: set[tuple[str, datetime]] = set()
        self.texts = itertools.count()
        self.real_composer = self.world.composer()

    def teardown(self) -> None:
        self.world.let_go()
        shutil.rmtree(self.world.folder)

    @initialize(kinds=st.lists(st.sampled_from(list(PEOPLE)), min_size=2, max_size=5))
    def people_move_in(self, kinds: list[str]) -> None:
        described = []
        for number, kind in enumerate(["New Yorker", *kinds], start=1):
            words = dict(PEOPLE[kind])
            zone, may_be_texted = words.pop("zone"), words.pop("may_be_texted", True)
            if words.pop("is_second_account", False):
                words |= {"email": "person1@mail.example", "person_id": "lead-00001"}
            words.setdefault("email", f"person{number}@mail.example")
            words.setdefault("phone", f"+1415555{number:04d}")
            lead_id = f"lead-{number:05d}"
            lead = self.models.Lead(
                lead_id, words.get("person_id", lead_id), words["email"], words["phone"], zone, may_be_texted
            )
            self.model.leads[lead_id] = lead
            for channel in words.get("consents", ("email", "sms")):
                if hashed := lead.hash_for(channel):
                    self.model.consents[hashed, channel] = (self.words.CONSENTED_AT, "granted")
            described.append({"is_cold": False, **words})
        self.world.leads(described)

    # --- time

    def now(self) -> datetime:
        return self.world.clock.now()

    def wait(self, pause: timedelta) -> None:
        self.world.clock.step_to(self.now() + pause)

    @rule(pause=st.sampled_from(PAUSES))
    def time_passes(self, pause: timedelta) -> None:
        self.wait(pause)

    # --- the day's tasks

    @rule(
        data=st.data(),
        pause=st.sampled_from([HOUR, timedelta(days=1), timedelta(days=1)]),
        is_sent=st.sampled_from([True, True, False]),
        fates=_fates,
        dies=_deaths,
        meanwhile=_meanwhile,
        when=_when,
        chunk_size=_chunks,
    )
    def a_whole_day(self, data: Any, pause: timedelta, is_sent: bool, **trouble: Any) -> None:
        """Every task in its order; between planning and sending something may happen."""
        self.wait(pause)
        self.ingest()
        self.reconcile()
        self.freeze(self.now(), set(self.model.leads))
        self.advance(self.now())
        for channel in (EMAIL, SMS):
            self.plan(channel, self.now())
        between = data.draw(
            st.sampled_from([None, None, None, "STOP", "a bounce", "log_in", "revoked"]), label="between"
        )
        if between is not None:
            lead_id = data.draw(st.sampled_from(sorted(self.model.leads)), label="of")
            self.somebody_says(lead_id, between)
            self.ingest()
        if is_sent:
            for channel in (EMAIL, SMS):
                self.dispatch(channel, **trouble)
            self.advance(self.now())

    @rule()
    def a_day_without_trouble(self) -> None:
        """What journeys need to get on."""
        self.wait(timedelta(days=1))
        self.ingest()
        self.reconcile()
        self.freeze(self.now(), set(self.model.leads))
        self.advance(self.now())
        for channel in (EMAIL, SMS):
            self.plan(channel, self.now())
            self.dispatch(channel)
        self.advance(self.now())

    @rule(data=st.data(), days_ago=st.sampled_from([0, 0, 0, 1]))
    def somebody_crosses_the_line(self, data: Any, days_ago: int) -> None:
        crossing = data.draw(st.sets(st.sampled_from(sorted(self.model.leads)), min_size=1), label="crossing")
        self.wait(SECOND)
        self.freeze(self.now() - timedelta(days=days_ago), crossing)

    @rule(days_ago=st.sampled_from([0, 0, 0, 1]))
    def journeys_advance(self, days_ago: int) -> None:
        self.wait(SECOND)
        self.advance(self.now() - timedelta(days=days_ago))

    @rule(channel=_channels, days_ago=st.sampled_from([0, 0, 0, 1]))
    def messages_are_planned(self, channel: Channel, days_ago: int) -> None:
        self.wait(SECOND)
        self.plan(channel, self.now() - timedelta(days=days_ago))

    @precondition(lambda self: any(m.status == "planned" for m in self.model.messages.values()))
    @rule(channel=_channels, fates=_fates, dies=_deaths, meanwhile=_meanwhile, when=_when, chunk_size=_chunks)
    def messages_are_sent(self, channel: Channel, **trouble: Any) -> None:
        self.wait(SECOND)
        self.dispatch(channel, **trouble)

    @precondition(lambda self: self.landed)
    @rule()
    def the_landing_zone_is_taken_in(self) -> None:
        self.wait(SECOND)
        self.ingest()

    @precondition(
        lambda self: any(m.status in ("claimed", "attempting", "unknown") for m in self.model.messages.values())
    )
    @rule()
    def the_ledger_is_reconciled(self) -> None:
        self.wait(SECOND)
        self.reconcile()

    @rule(what=st.sampled_from(["freeze", "advance", "plan", "ingest", "reconcile"]))
    def a_task_runs_twice(self, what: str) -> None:
        """The second time changes no row of any table."""
        self.wait(SECOND)
        task = {
            "freeze": lambda: self.freeze(self.now(), set(self.model.leads)),
            "advance": lambda: self.advance(self.now()),
            "plan": lambda: self.plan(EMAIL, self.now()),
            "ingest": self.ingest,
            "reconcile": self.reconcile,
        }[what]
        task()
        before = self.world.fingerprint()
        task()
        after = self.world.fingerprint()
        assert {table for table in before if before[table] != after[table]} == set()

    def freeze(self, as_of: datetime, crossing: set[str]) -> None:
        for lead_id in sorted(crossing):
            if (lead_id, as_of) not in self.crossed:
                self.crossed.add((lead_id, as_of))
                lead = self.model.leads[lead_id]
                self.world.crosses_again(lead, on=as_of, person_id=lead.person_id)
        if self._is_refused("freeze", as_of, lambda: self.world.freeze(as_of)):
            return
        self.model.freeze(as_of, {lead_id for lead_id, at in self.crossed if at == as_of})

    def advance(self, as_of: datetime) -> None:
        self.world.advance(as_of)
        self.model.advance(as_of)

    def plan(self, channel: Channel, as_of: datetime) -> None:
        unusable = frozenset(
            lead.phone for lead in self.model.leads.values() if not lead.may_be_texted and lead.phone is not None
        )
        self.world.check(as_of, channel, unusable)
        batches: list[Any] = []
        if self._is_refused(
            f"plan {channel}", as_of, lambda: batches.extend(self.world.plan(as_of, channel, check=False))
        ):
            return
        self.model.plan(str(channel), as_of)
        for row in self.world.query("select message_id, batch_id from rekindle_state.messages"):
            if row["message_id"] in self.model.messages:
                self.model.messages[row["message_id"]].batch = row["batch_id"]
        assert {batch.batch_id for batch in batches} == {
            message.batch
            for message in self.model.messages.values()
            if message.channel == channel and message.status == "planned" and not message.is_held(self.now())
        }

    def _is_refused(self, activity: str, as_of: datetime, task: Callable[[], Any]) -> bool:
        must_refuse = self.model.is_older_than_finished(activity, as_of)
        try:
            task()
        except RefusedError:
            assert must_refuse
            self.seen("refused days")
            return True
        assert not must_refuse
        return False

    def dispatch(self, channel: Channel, **trouble: Any) -> None:
        """One send task for every open batch of the channel, with the same trouble."""
        open_batches = sorted(
            {m.batch for m in self.model.messages.values() if m.status == "planned" and m.channel == channel}
        )
        for batch in open_batches:
            self._attempt(Attempt(self, channel, batch, MortalWarehouse(self.world.warehouse), **trouble))

    def _attempt(self, attempt: Attempt) -> None:
        before = self.now()
        attempt.number = self.model.claim(attempt.batch, before)
        claimed = [m for m in self.model.messages.values() if m.attempt == attempt.number and m.status == "claimed"]
        real_warehouse, real_composer = self.world.warehouse, self.world.composer
        self.world.warehouse, self.world.composer = attempt.warehouse, lambda batch_id: attempt
        self.compose, self.real_warehouse = self.real_composer.compose, real_warehouse
        try:
            for message in claimed:
                self.seen(f"claimed {message.channel}")
            self.world.dispatch([self.words.Batch(attempt.batch, len(claimed))], attempt, before)
        except WorkerDies:
            self.seen(f"died {attempt.dies}")
        except ConfigurationError:
            assert attempt.stopped
        finally:
            self.world.warehouse, self.world.composer = real_warehouse, real_composer
        if attempt.warehouse.is_dead:
            return
        left_behind = [m for m in claimed if self.model.may_begin(m, attempt.number, self.now())]
        assert attempt.stopped or not left_behind, "claimed, and not sent for no reason"
        self.model.release(attempt.number)

    def take(self, attempt: Attempt, item: Any, committed_at: datetime) -> None:
        """The provider takes a message: the last moment at which a promise can be broken."""
        model, message = self.model, self.model.messages[item.message_id]
        lead = message.entry.lead
        assert item.message_id not in {taken.message_id for taken in self.record}, "accepted twice"
        assert message.entry.arm == "treatment", "a holdout was written to"
        assert self.models.is_open(lead.zone, committed_at), "outside the send window"
        recent = [
            taken
            for taken in self.record
            if model.messages[taken.message_id].address_hash in lead.hashes
            and taken.committed_at > committed_at - self.models.CAP
        ]
        assert len(recent) < self.models.CAP_MESSAGES, "written to more often than the cap allows"
        self.record.append(Taken(item.message_id, attempt.channel, item.body_hash, committed_at, self.now()))
        self.seen("messages taken")

    def ingest(self) -> None:
        self.world.ingest(self.now())
        self.model.newest["ingest"] = self.now()
        self.model.ingest(self.landed, self.now())
        self.landed = []

    def reconcile(self) -> None:
        taken = {each.message_id: each for each in self.record if each.channel is SMS}

        def find(number: str, since: datetime) -> list[ListedMessage]:
            return [
                ListedMessage(provider_id("twilio", each.message_id), hashed, each.body_hash, "delivered", None)
                for each in taken.values()
                if (hashed := self.model.messages[each.message_id].address_hash) == address_hash(number)
                and each.taken_at >= since
            ]

        self.world.find_texts = find
        self.world.reconcile(self.now())
        self.model.reconcile(self.now(), taken.__contains__)

    # --- what people and providers say

    @precondition(lambda self: self.record)
    @rule(data=st.data(), ago=st.sampled_from([0.0, 0.5, 1.0]), times=st.sampled_from([1, 1, 2]))
    def news_of_a_message_lands(self, data: Any, ago: float, times: int) -> None:
        """A receipt, a click, a complaint: soon or late, once or twice, in any order."""
        self.wait(SECOND)
        taken = data.draw(st.sampled_from(self.record), label="of")
        kind = data.draw(st.sampled_from(list(self.models.NEWS[str(taken.channel)])), label="kind")
        since = (self.now() - taken.taken_at).total_seconds()
        self._land_news(self.model.messages[taken.message_id], kind, self.now() - SECOND * int(since * ago), times)

    def _land_news(self, message: Any, kind: str, at: datetime, times: int = 1) -> None:
        lead = message.entry.lead
        for _ in range(times):
            if kind == "link_click":
                self.world.land("link_clicks", self.world.click(message.message_id, at))
            elif kind == "robot_click":
                self.world.land("link_clicks", self.world.click(message.message_id, at, agent="curl/8"))
            elif kind == "link_unsubscribe":
                line = self.world.unsubscribe(message.message_id, message.address_hash, message.channel, at)
                self.world.land("unsubscribes", line)
            elif message.channel == "email":
                words = {"type": kind} if kind in ("bounce", "blocked") else {"useragent": self.words.BROWSER}
                event = "bounce" if kind == "blocked" else kind
                told = self.world.mail_event(message.message_id, event, at, lead.email, **words)
                self.world.land_mail_events(told)
            else:
                status, _, code = kind.partition(":")
                told = self.world.text_status(message.message_id, status, at, lead.phone, code or None)
                told["body"] = told["body"].replace(
                    "SM" + self.words.hashlib.md5(message.message_id.encode()).hexdigest(),
                    provider_id("twilio", message.message_id),
                )
                self.world.land("twilio_status", told)
        said = self.models.NEWS[message.channel][kind]
        self.landed.append(self.models.Heard(said, at, message, message.address_hash, message.channel))
        self.seen(kind)

    @rule(
        data=st.data(),
        what=st.sampled_from(
            ["STOP", "who is this?", "log_in", "create_project", "revoked", "granted", "comes back", "comes back"]
        ),
    )
    def somebody_does_something(self, data: Any, what: str) -> None:
        self.wait(SECOND)
        self.somebody_says(data.draw(st.sampled_from(sorted(self.model.leads)), label="who"), what)

    def somebody_says(self, lead_id: str, what: str) -> None:
        """A text to us, a life sign, a word on consent, or a bounce of what was last sent."""
        lead = self.model.leads[lead_id]
        if what in self.models.TEXTS:
            if lead.phone is not None:
                self._land_text(lead, what)
        elif what == "a bounce":
            bounced = [each for each in self.record if self.model.messages[each.message_id].entry.lead is lead]
            for taken in bounced[-1:]:
                kind = "bounce" if taken.channel is EMAIL else "undelivered:30005"
                self._land_news(self.model.messages[taken.message_id], kind, self.now())
        elif what in ("revoked", "granted", "comes back"):
            self.wait(SECOND)
            at = self.now() - SECOND / 2  # two words of one instant have no order, and providers tell whole seconds
            for channel in ("email", "sms"):
                if hashed := lead.hash_for(channel):
                    if what == "comes back":
                        self._land_return(hashed, channel, at)
                    else:
                        self.world.consent(lead, channel, action=what, occurred_at=at, recorded_at=self.now())
                        self.model.hear_consent(hashed, channel, at, what)
        else:
            self.wait(SECOND)
            self.world.sign_of_life(lead, self.now(), what)
            self.model.life.append((lead_id, self.now()))

    def _land_text(self, lead: Any, words: str) -> None:
        line = self.world.inbound_text(lead.phone, words, self.now())
        line["body"] += f"&SmsSid=SM{next(self.texts):032d}"
        line["body"] = line["body"].replace("MessageSid=", "Ignored=")
        self.world.land("twilio_inbound", line)
        hashed = lead.hash_for("sms")
        self.landed.append(self.models.Heard(self.models.TEXTS[words], self.now(), None, hashed, "sms"))

    def _land_return(self, hashed: str, channel: str, at: datetime) -> None:
        token = {"message_id": "any", "address_hash": hashed, "channel": channel, "topic": "marketing"}
        token["wording_version"] = "v1"
        body = "do=resubscribe&topic=marketing&wording=v1"
        self.world.land("preferences", self.world.line(at, body, method="POST", token=token))
        self.landed.append(self.models.Heard(self.models.COMES_BACK, at, None, hashed, channel))
        self.seen("comes back")

    # --- the comparison

    def check_invariants(self, settings: Any, *args: Any, **kwargs: Any) -> None:
        """After every step: the ten promises hold, and the warehouse stands where the model stands."""
        super().check_invariants(settings, *args, **kwargs)
        self.compare()

    def compare(self) -> None:
        broken = self.world.broken()
        assert not broken, f"invariants with violations: {broken}"
        stands = {
            row["entry_id"]: row
            for row in self.world.query(
                "select entry_id, arm, stage, due_at, exit_reason from rekindle_state.journey_state"
            )
        }
        assert set(stands) == {entry.entry_id for entry in self.model.entries}
        for entry in self.model.entries:
            self.seen(f"stage {entry.stage}")
            row = stands[entry.entry_id]
            assert (row["arm"], row["stage"], row["due_at"]) == (entry.arm, entry.stage, entry.due_at), entry
            assert row["exit_reason"] in entry.exits if entry.exits else row["exit_reason"] is None, entry
        ledger = {
            row["message_id"]: (row["status"], row["address_hash"], row["expires_at"])
            for row in self.world.query(
                "select message_id, status, address_hash, expires_at from rekindle_state.messages"
            )
        }
        for message in self.model.messages.values():
            self.seen(f"status {message.status}")
        assert ledger == {
            message.message_id: (message.status, message.address_hash, message.expires_at)
            for message in self.model.messages.values()
        }
