"""Sets, lifts and reads stops. A stop is a row, so it needs no deployment and outlives every process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from rekindle.campaigns.models import Campaign
from rekindle.channels.provider_errors import Provider
from rekindle.clock import Clock
from rekindle.errors import BadInputError
from rekindle.run import Run
from rekindle.vocabulary import Channel, StopMode, StopScope
from rekindle.warehouse.ports import Row, Transaction, Warehouse

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

CHANNEL_OF_PROVIDER = {Provider.SENDGRID: Channel.EMAIL, Provider.TWILIO: Channel.SMS}


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop, in force or lifted. `name` is None for everything."""

    scope: StopScope
    name: str | None
    mode: StopMode
    reason: str
    set_by: str
    set_at: datetime
    lifted_at: datetime | None = None
    lifted_by: str | None = None

    @property
    def what(self) -> str:
        """`everything`, `channel sms`, `campaign welcome`."""
        return f"{self.scope} {self.name}" if self.name else str(self.scope)

    @property
    def channel(self) -> Channel | None:
        """The channel it stops, directly or as its provider's; None if it stops more than a channel."""
        if self.scope is StopScope.CHANNEL:
            return Channel(self.name or "")
        if self.scope is StopScope.PROVIDER:
            return CHANNEL_OF_PROVIDER[Provider(self.name or "")]
        return None


@dataclass(frozen=True, slots=True)
class Stops:
    """The stops in force, and what they mean for one campaign."""

    in_force: Sequence[Stop]

    def of_campaign(self, campaign_id: str) -> list[Stop]:
        """Those that stop the campaign as a whole."""
        return [
            stop
            for stop in self.in_force
            if stop.scope is StopScope.EVERYTHING or (stop.scope is StopScope.CAMPAIGN and stop.name == campaign_id)
        ]

    def forbids_entering(self, campaign: Campaign) -> Stop | None:
        """Whatever its mode, a stop lets nobody in: into its campaign, or into one whose first message it stops."""
        first = next((step.channel for step in campaign.message_steps), None)
        on_the_way = [stop for stop in self.in_force if stop.channel is not None and stop.channel is first]
        return next(iter([*self.of_campaign(campaign.campaign_id), *on_the_way]), None)

    def holds(self, campaign_id: str) -> Stop | None:
        """The stop under which nobody of the campaign moves."""
        return next((stop for stop in self.of_campaign(campaign_id) if stop.mode is StopMode.HOLD), None)

    def cancels(self, campaign_id: str) -> bool:
        """Whether everybody in flight ends."""
        return any(stop.mode is StopMode.CANCEL for stop in self.of_campaign(campaign_id))

    def cancelled_channels(self) -> frozenset[Channel]:
        """Channels at whose steps everybody ends."""
        return frozenset(stop.channel for stop in self.in_force if stop.channel and stop.mode is StopMode.CANCEL)

    def forbids_writing(self, campaign_id: str, channel: Channel) -> Stop | None:
        """The stop under which nothing is planned or sent there."""
        concerned = [*self.of_campaign(campaign_id), *(stop for stop in self.in_force if stop.channel is channel)]
        return next((stop for stop in concerned if stop.mode is not StopMode.DRAIN), None)


def open_stops(transaction: Transaction) -> Stops:
    """The stops in force."""
    return Stops([_stop(row) for row in transaction.fetch("stops/list_open_stops")])


def list_stops(warehouse: Warehouse) -> list[Stop]:
    """Every stop that ever was, those in force first."""
    with warehouse.transaction() as transaction:
        return [_stop(row) for row in transaction.fetch("stops/list_stops")]


def set_stop(
    warehouse: Warehouse, scope: StopScope, name: str | None, mode: StopMode, reason: str, set_by: str, clock: Clock
) -> bool:
    """Stop something. Replaces a stop of the same thing in another mode; False if it is stopped that way already.

    Raises `BadInputError` for a channel or provider that does not exist.
    """
    _check_name(scope, name)
    now = clock.now()
    with warehouse.transaction() as transaction:
        same = [stop for stop in open_stops(transaction).in_force if (stop.scope, stop.name) == (scope, name)]
        if any(stop.mode is mode for stop in same):
            return False
        transaction.execute("stops/lift_stops", scope=scope, name=name, lifted_at=now, lifted_by=set_by)
        transaction.execute(
            "stops/insert_stop",
            stop_id=str(uuid4()),
            scope=scope,
            name=name,
            mode=mode,
            reason=reason,
            set_by=set_by,
            set_at=now,
        )
    return True


def lift_stop(warehouse: Warehouse, scope: StopScope, name: str | None, lifted_by: str, clock: Clock) -> int:
    """Let it go on; how many stops were lifted. Other stops that cover the same thing stay in force."""
    _check_name(scope, name)
    with warehouse.transaction() as transaction:
        return transaction.execute(
            "stops/lift_stops", scope=scope, name=name, lifted_at=clock.now(), lifted_by=lifted_by
        )


def cancel_stopped(transaction: Transaction, campaign: Campaign, stops: Stops, run: Run) -> int:
    """End who is in flight under a stop in mode `cancel`; how many ended."""
    stages: list[str | None] = [None] if stops.cancels(campaign.campaign_id) else []
    if not stages:
        channels = stops.cancelled_channels()
        stages = [step.step_id for step in campaign.message_steps if step.channel in channels]
    ended = 0
    for stage in stages:
        ended += transaction.execute(
            "stops/insert_cancelled_transitions", campaign_id=campaign.campaign_id, stage=stage, **run.signature()
        )
        transaction.execute("journey/fold_transitions", recorded_at=run.recorded_at, run_id=run.run_id)
    return ended


def may_give_up_since(transaction: Transaction, run: Run, patience: timedelta) -> datetime:
    """The newest instant since which an entry has waited out the patience. The time something was stopped does not
    count: nobody is skipped because of a stop.
    """
    lifted_at = transaction.fetch("stops/fetch_last_lift")[0]["lifted_at"]
    return _NEVER if lifted_at is not None and lifted_at > run.as_of - patience else run.as_of - patience


def _check_name(scope: StopScope, name: str | None) -> None:
    known: dict[StopScope, list[str]] = {
        StopScope.CHANNEL: [str(channel) for channel in Channel],
        StopScope.PROVIDER: [str(provider) for provider in CHANNEL_OF_PROVIDER],
    }
    if scope in known and name not in known[scope]:
        raise BadInputError(f"there is no {scope} {name!r}; name one of: {', '.join(known[scope])}")


def _stop(row: Row) -> Stop:
    return Stop(
        scope=StopScope(row["scope"]),
        name=row["name"],
        mode=StopMode(row["mode"]),
        reason=row["reason"],
        set_by=row["set_by"],
        set_at=row["set_at"],
        lifted_at=row.get("lifted_at"),
        lifted_by=row.get("lifted_by"),
    )
