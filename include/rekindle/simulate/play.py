"""Lives campaigns through day by day on a warehouse of their own: the statements, the planner, the composer and the
send protocol are those of production; the clock, the people and the providers are made up.

A day is: what arrived is loaded and ends journeys, who may enter today enters, then run by run, campaign by campaign:
advance, take turns, check, plan, dispatch and settle, as in `campaign__<id>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rekindle.campaigns.answers import words_for
from rekindle.campaigns.models import AskStep, Campaign
from rekindle.contacts.checks import ContactCheck, check_email, check_phone
from rekindle.dispatch import Composer, EmailSender, Sender, SmsSender, dispatch_batch
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.ingest import load_landing_zone
from rekindle.invariants import check_invariants
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.journey.versions import message_steps_due
from rekindle.planning import check_contacts, plan_messages, take_turns
from rekindle.reconcile import reconcile_ledger
from rekindle.rendering.context import Company
from rekindle.run import Run
from rekindle.simulate.arrivals import Landing
from rekindle.simulate.calendar import RUNS_A_DAY, runs_of_day
from rekindle.simulate.clock import StillClock
from rekindle.simulate.offering import Offering
from rekindle.simulate.people import Person
from rekindle.simulate.played import Played
from rekindle.simulate.providers import InProcessMail, InProcessTexts, InProduct, World
from rekindle.simulate.warehouse import (
    ACTIVATION,
    MemoryWarehouse,
    activation_columns,
    consent_row,
    contact_row,
    fill_warehouse,
)
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Channel

#: A Monday: sixty days from here see the American change to summer time.
FIRST_DAY = datetime(2026, 1, 12, tzinfo=UTC)
_COMPANY = Company("Example Records", "1 Example Street, Springfield, IL 62701, USA")
_PUBLIC = "https://links.example.com"
_RATE = ProviderRate(1_000_000, block=1_000)


def simulate(
    campaigns: Sequence[Campaign],
    people: Sequence[Person],
    days: int,
    seed: int,
    tell: Callable[[int], None] = lambda day: None,
    keep: Path | None = None,
    runs_a_day: int = RUNS_A_DAY,
) -> Played:
    """Play campaigns together for so many days; `tell` hears the number of each finished one. The same arguments give
    the same result.

    `keep` receives the warehouse file. Fewer runs a day are quicker, and meet fewer time zones in their windows.
    """
    with (
        TemporaryDirectory(prefix="rekindle-simulate-") as folder,
        _Play.begin(campaigns, people, days, seed, folder, runs_a_day) as play,
    ):
        for day in range(days):
            play.live_through(day)
            tell(day + 1)
        played = play.result(days)
        if keep is not None:
            play.warehouse.write_to(keep)
    return played


class _Play:
    def __init__(
        self,
        campaigns: Sequence[Campaign],
        people: Sequence[Person],
        days: int,
        seed: int,
        folder: Path,
        runs_a_day: int,
    ) -> None:
        self._runs_a_day = runs_a_day
        self.campaigns = sorted(campaigns, key=lambda one: (-one.priority, one.campaign_id))
        self.people = people
        self.clock = StillClock(FIRST_DAY)
        self.warehouse = MemoryWarehouse()
        fill_warehouse(self.warehouse, FIRST_DAY, [one.enter.model for one in self.campaigns])
        self.world = World(seed, self.clock, _answers_to(self.campaigns))
        self.landing = Landing(folder / "landing")
        self._seed = seed
        self._offering = Offering(self.campaigns, people, days, seed)
        self._zones = sorted({zone for person in people if (zone := person.contact["time_zone"])})
        self._senders: Mapping[Channel, Sender] = {  # texts last, as in the DAG: who can not be mailed moves on
            Channel.EMAIL: EmailSender(InProcessMail(self.world), self._governor()),
            Channel.SMS: SmsSender(InProcessTexts(self.world), self._governor(), calls_at_once=1),
        }
        self._composers = {
            one.campaign_id: Composer(
                campaign=one,
                signer=TokenSigner(["simulated"]),
                public_base_url=_PUBLIC,
                app_url=f"{_PUBLIC}/app",
                company=_COMPANY,
            )
            for one in self.campaigns
        }
        self._know_everybody()

    @classmethod
    @contextmanager
    def begin(
        cls,
        campaigns: Sequence[Campaign],
        people: Sequence[Person],
        days: int,
        seed: int,
        folder: str,
        runs_a_day: int,
    ) -> Iterator[_Play]:
        play = cls(campaigns, people, days, seed, Path(folder), runs_a_day)
        try:
            yield play
        finally:
            play.close()

    def close(self) -> None:
        """Forget everything."""
        self.warehouse.close()

    def live_through(self, day: int) -> None:
        midnight = FIRST_DAY + timedelta(days=day)
        for number, at in enumerate(runs_of_day(self.campaigns, self._zones, midnight, self._runs_a_day)):
            self.clock.step_to(at)
            run = Run(as_of=at, run_id=f"simulated__{at.isoformat()}", recorded_at=at)
            if number == 0:  # once a day, as `ingest` does
                self._hear(run)
                reconcile_ledger(self.warehouse, self.world.find_texts, self.clock, run)
                self._offering.make(self.warehouse, self.world, day, at)
            place = (day + number) % len(self.campaigns)  # who comes first must not matter
            first, *others = (*self.campaigns[place:], *self.campaigns[:place])
            if number == 0:
                freeze_cohort(self.warehouse, first, run)
            advance_journeys(self.warehouse, first, run)
            # brings the others forward too: that each of their DAGs does it once more changes nothing
            take_turns(self.warehouse, first, others, run)
            for campaign in (first, *others):
                self._write(campaign, run)

    def _write(self, campaign: Campaign, run: Run) -> None:
        """The tasks of the campaign's DAG from planning on, in their order."""
        used = {step.channel for step in campaign.message_steps}
        composer = self._composers[campaign.campaign_id]
        for channel, sender in self._senders.items():
            if channel not in used:
                continue
            for version, step in message_steps_due(self.warehouse, campaign, run.as_of):
                if step.channel is channel:
                    check_contacts(self.warehouse, version, step, run, self._check(channel))
            for batch in plan_messages(self.warehouse, campaign, channel, run):
                dispatch_batch(self.warehouse, batch.batch_id, composer, sender, self.clock, run)
        advance_journeys(self.warehouse, campaign, run)

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
            sends = transaction.fetch("report/list_campaign_sends")
            deferrals = transaction.fetch("report/list_deferrals")
        verdicts = check_invariants(self.warehouse, self.campaigns)
        return Played(
            campaigns=self.campaigns,
            first_day=FIRST_DAY.date(),
            days=days,
            seed=self._seed,
            people=len(self.people),
            accepted=self.world.accepted,
            exits=exits,
            messages=messages,
            decisions=decisions,
            funnel=funnel,
            sends=sends,
            deferrals=deferrals,
            verdicts=verdicts,
        )


def _answers_to(campaigns: Sequence[Campaign]) -> dict[tuple[str, str], list[str]]:
    """What people answer the questions with: every word that is understood."""
    return {
        (campaign.campaign_id, step.step_id): [
            word for answer, words in step.expected for word in words_for(answer, words)
        ]
        for campaign in campaigns
        for step in campaign.steps
        if isinstance(step, AskStep)
    }


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
