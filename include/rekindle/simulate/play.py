"""Lives a campaign through day by day on a warehouse of its own: the statements, the planner, the composer and the send
protocol are those of production; the clock, the people and the providers are made up.

A day is: what arrived is loaded and ends journeys, who may enter today enters, then run by run advance, check, plan,
dispatch and settle, as in `campaign__<id>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rekindle.campaigns.answers import words_for
from rekindle.campaigns.conditions import EventCondition
from rekindle.campaigns.models import AskStep, BranchStep, Campaign, EndStep, WaitForStep
from rekindle.campaigns.step_definitions import EventExitDefinition
from rekindle.contacts.checks import ContactCheck, check_email, check_phone
from rekindle.dispatch import Composer, EmailSender, Sender, SmsSender, dispatch_batch
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.ingest import load_landing_zone
from rekindle.invariants import Verdict, check_invariants
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.journey.versions import message_steps_due
from rekindle.planning import check_contacts, plan_messages, take_turns
from rekindle.reconcile import reconcile_ledger
from rekindle.rendering.context import Company
from rekindle.run import Run
from rekindle.sandbox.people import DAY, HOUR, Dice
from rekindle.simulate.arrivals import Landing
from rekindle.simulate.calendar import RUNS_A_DAY, runs_of_day
from rekindle.simulate.clock import StillClock
from rekindle.simulate.people import Person, spread_over
from rekindle.simulate.providers import InProcessMail, InProcessTexts, InProduct, World
from rekindle.simulate.warehouse import (
    ACTIVATION,
    MemoryWarehouse,
    activation_columns,
    consent_row,
    contact_row,
    fill_warehouse,
    offer_row,
    request_row,
    sign_up_row,
    signal_row,
)
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Channel
from rekindle.warehouse.ports import Row, Transaction

#: A Monday: sixty days from here see the American change to summer time.
FIRST_DAY = datetime(2026, 1, 12, tzinfo=UTC)
#: Share of leads who come back by themselves within the days played: what the holdout is for.
COME_BACK_ANYWAY = 0.06
#: The topic under which a sign-up that must be confirmed comes in.
CONFIRMATION = "confirmation"
#: Share of leads who do what the campaign waits for, each event by itself, some day soon after entering.
DO_WHAT_IS_WAITED_FOR = 0.2
#: The last part of the days has no new leads, so that journeys that begin are seen to end.
ENTERING_SHARE = 0.6
_COMPANY = Company("Example Records", "1 Example Street, Springfield, IL 62701, USA")
_PUBLIC = "https://links.example.com"
_RATE = ProviderRate(1_000_000, block=1_000)


@dataclass(frozen=True)
class Played:
    """What came of it. The rows are those of the statements in `sql/queries/report`."""

    campaign_id: str
    first_day: date
    days: int
    seed: int
    people: int
    steps: Sequence[str]  # in reading order, without the ends
    message_steps: Sequence[str]
    accepted: int
    exits: Sequence[Row]
    messages: Sequence[Row]
    decisions: Sequence[Row]
    funnel: Sequence[Row]
    verdicts: Sequence[Verdict]

    @property
    def holds(self) -> bool:
        """Whether every invariant does."""
        return all(verdict.holds for verdict in self.verdicts)


def simulate(
    campaign: Campaign,
    people: Sequence[Person],
    days: int,
    seed: int,
    tell: Callable[[int], None] = lambda day: None,
    keep: Path | None = None,
    runs_a_day: int = RUNS_A_DAY,
) -> Played:
    """Play so many days; `tell` hears the number of each finished one. The same arguments give the same result.

    `keep` receives the warehouse file. Fewer runs a day are quicker, and meet fewer time zones in their windows.
    """
    with (
        TemporaryDirectory(prefix="rekindle-simulate-") as folder,
        _Play.begin(campaign, people, seed, folder, runs_a_day) as play,
    ):
        entering = spread_over(people, max(1, int(days * ENTERING_SHARE)))
        for day in range(days):
            play.live_through(day, entering[day] if day < len(entering) else [])
            tell(day + 1)
        played = play.result(days)
        if keep is not None:
            play.warehouse.write_to(keep)
    return played


class _Play:
    def __init__(self, campaign: Campaign, people: Sequence[Person], seed: int, folder: Path, runs_a_day: int) -> None:
        self._runs_a_day = runs_a_day
        self.campaign = campaign
        self.people = people
        self.clock = StillClock(FIRST_DAY)
        self.warehouse = MemoryWarehouse()
        fill_warehouse(self.warehouse, FIRST_DAY, [campaign.enter.model])
        questions = [step for step in campaign.steps if isinstance(step, AskStep)]
        self.world = World(seed, self.clock, {step.step_id: _words_of(step) for step in questions})
        self.landing = Landing(folder / "landing")
        self._seed = seed
        self._events = sorted(_events_of(campaign))
        self._zones = sorted({zone for person in people if (zone := person.contact["time_zone"])})
        senders: Mapping[Channel, Sender] = {  # texts last, as in the DAG: who can not be mailed moves on
            Channel.EMAIL: EmailSender(InProcessMail(self.world), self._governor()),
            Channel.SMS: SmsSender(InProcessTexts(self.world), self._governor(), calls_at_once=1),
        }
        used = {step.channel for step in campaign.message_steps}
        self._senders = {channel: sender for channel, sender in senders.items() if channel in used}
        self._composer = Composer(
            campaign=campaign,
            signer=TokenSigner(["simulated"]),
            public_base_url=_PUBLIC,
            app_url=f"{_PUBLIC}/app",
            company=_COMPANY,
        )
        self._know_everybody()

    @classmethod
    @contextmanager
    def begin(
        cls, campaign: Campaign, people: Sequence[Person], seed: int, folder: str, runs_a_day: int
    ) -> Iterator[_Play]:
        play = cls(campaign, people, seed, Path(folder), runs_a_day)
        try:
            yield play
        finally:
            play.close()

    def close(self) -> None:
        """Forget everything."""
        self.warehouse.close()

    def live_through(self, day: int, offered: Sequence[Person]) -> None:
        midnight = FIRST_DAY + timedelta(days=day)
        for number, at in enumerate(runs_of_day(self.campaign, self._zones, midnight, self._runs_a_day)):
            self.clock.step_to(at)
            run = Run(as_of=at, run_id=f"simulated__{at.isoformat()}", recorded_at=at)
            if number == 0:  # once a day, as `ingest` does
                self._hear(run)
                reconcile_ledger(self.warehouse, self.world.find_texts, self.clock, run)
                self._offer(offered, at)
                freeze_cohort(self.warehouse, self.campaign, run)
            self._tick(run)

    def _tick(self, run: Run) -> None:
        """The tasks of the campaign's DAG, in their order."""
        advance_journeys(self.warehouse, self.campaign, run)
        take_turns(self.warehouse, self.campaign, [], run)
        for channel in self._senders:
            for version, step in message_steps_due(self.warehouse, self.campaign, run.as_of):
                if step.channel is channel:
                    check_contacts(self.warehouse, version, step, run, self._check(channel))
            for batch in plan_messages(self.warehouse, self.campaign, channel, run):
                dispatch_batch(self.warehouse, batch.batch_id, self._composer, self._senders[channel], self.clock, run)
        advance_journeys(self.warehouse, self.campaign, run)

    def _hear(self, run: Run) -> None:
        """What providers and people told since the last run is landed and loaded; log-ins are in their model."""
        happened = self.world.until(run.as_of)
        files = [self.landing.land(stream, lines, run.as_of) for stream, lines in happened.lines.items()]
        signs = [_life_sign(one) for one in happened.in_product if one.event is None]
        named = [_named_event(one) for one in happened.in_product if one.event is not None]
        with self.warehouse.transaction() as transaction:
            transaction.insert(f"{ACTIVATION}.sync_life_signs", signs)
            transaction.insert(f"{ACTIVATION}.sync_named_events", named)
        if files:
            load_landing_zone(self.warehouse, self.landing.root, run)
        for file in files:
            file.unlink()  # the manifest knows it; looking through old files is no part of what is played

    def _know_everybody(self) -> None:
        contacts = [contact_row(one.lead_id, one.email, one.phone, **one.contact) for one in self.people]
        consents = [
            consent_row(one.lead_id, channel, address)
            for one in self.people
            for channel in one.consents
            if (address := one.email if channel == "email" else one.phone)
        ]
        columns = activation_columns()["sync_lead_context"]
        context = [
            {name: (one.context | {"lead_id": one.lead_id}).get(name) for name in columns} for one in self.people
        ]
        with self.warehouse.transaction() as transaction:
            transaction.insert(f"{ACTIVATION}.sync_lead_context", context)
            transaction.insert(f"{ACTIVATION}.sync_lead_contacts", contacts)
            transaction.insert("rekindle_state.consents", consents)

    def _offer(self, people: Sequence[Person], at: datetime) -> None:
        """The activation model as of today, and who of its leads would come back anyway."""
        model = f"{ACTIVATION}.{self.campaign.enter.model}"
        signal = self.campaign.enter.signal
        rows = [
            signal_row(one.lead_id, at, signal[0], signal[1][0])
            if signal
            else offer_row(one.lead_id, at, cold_score=one.cold_score, segment=one.segment)
            for one in people
        ]
        with self.warehouse.transaction() as transaction:
            transaction.connection.execute(f"truncate {model}")
            transaction.insert(model, rows)
            if signal == ("opt_in", (CONFIRMATION,)):
                self._sign_up(transaction, people, at - timedelta(hours=1))
        for one in people:
            dice = Dice.of(self._seed, "anyway", one.lead_id)
            if dice.chance("comes back", COME_BACK_ANYWAY):
                self.world.acts(one.lead_id, at + timedelta(seconds=dice.between("after", 60, 30 * DAY)))
            for event in self._events:
                if dice.chance(f"does {event}", DO_WHAT_IS_WAITED_FOR):
                    soon = at + timedelta(seconds=dice.between(f"{event} after", HOUR, 14 * DAY))
                    self.world.acts(one.lead_id, soon, event)

    @staticmethod
    def _sign_up(transaction: Transaction, people: Sequence[Person], at: datetime) -> None:
        """They filled in a form, and have to confirm their address."""
        asking = [one for one in people if one.email]
        transaction.insert("rekindle_raw.opt_ins", [sign_up_row(one.lead_id, one.email or "", at) for one in asking])
        requests = [request_row(one.lead_id, one.email or "", at) for one in asking]
        transaction.insert("rekindle_state.preferences", requests)

    def _check(self, channel: Channel) -> Callable[[str, str | None], ContactCheck]:
        def check(address: str, country: str | None) -> ContactCheck:
            if channel is Channel.EMAIL:
                return check_email(address)
            return check_phone(address, country or "US", self.world)

        return check

    def _governor(self) -> Governor:
        return Governor.in_memory(_RATE, calendar=self.clock)

    def result(self, days: int) -> Played:
        with self.warehouse.transaction() as transaction:
            exits = transaction.fetch("report/list_exits")
            messages = transaction.fetch("report/list_messages")
            decisions = transaction.fetch("report/list_decisions")
            funnel = transaction.fetch("report/list_funnel")
        verdicts = check_invariants(self.warehouse, [self.campaign])
        return Played(
            campaign_id=self.campaign.campaign_id,
            first_day=FIRST_DAY.date(),
            days=days,
            seed=self._seed,
            steps=[step.step_id for step in self.campaign.steps if not isinstance(step, EndStep)],
            message_steps=[step.step_id for step in self.campaign.message_steps],
            people=len(self.people),
            accepted=self.world.accepted,
            exits=exits,
            messages=messages,
            decisions=decisions,
            funnel=funnel,
            verdicts=verdicts,
        )


def _events_of(campaign: Campaign) -> set[str]:
    """The app events a campaign waits for, branches on or ends at."""
    awaited = {step.event for step in campaign.steps if isinstance(step, WaitForStep)}
    branches = [step for step in campaign.steps if isinstance(step, BranchStep)]
    asked = {
        condition.event for step in branches for _, condition in step.cases if isinstance(condition, EventCondition)
    }
    return awaited | asked | {one.event for one in campaign.exits if isinstance(one, EventExitDefinition)}


def _words_of(question: AskStep) -> list[str]:
    """What people answer with: every word that is understood."""
    return [word for answer, words in question.expected for word in words_for(answer, words)]


def _named_event(done: InProduct) -> dict[str, Any]:
    return {"lead_id": done.lead_id, "event_name": done.event, "occurred_at": done.at}


def _life_sign(sign: InProduct) -> dict[str, Any]:
    return {
        "lead_id": sign.lead_id,
        "event_id": f"{sign.lead_id} {sign.at.isoformat()}",
        "event_type": "logged_in",
        "kind": "log_in",
        "occurred_at": sign.at,
    }
