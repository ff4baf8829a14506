"""Which versions of a campaign leads are on. They finish on theirs, unless the file moves them to the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from rekindle.campaigns.loader import restore_campaign
from rekindle.campaigns.models import Campaign, MessageStep
from rekindle.errors import ConfigurationError
from rekindle.journey.fold import fold
from rekindle.run import Run
from rekindle.warehouse import Transaction, Warehouse
from rekindle.warehouse.statements import with_words


@dataclass(frozen=True, slots=True)
class Standing:
    """How many entries stand on a step, and when the first of them is due."""

    entries: int
    first_due_at: datetime | None

    def is_due(self, as_of: datetime) -> bool:
        """Whether somebody there is due by this instant."""
        return self.first_due_at is not None and self.first_due_at <= as_of


@dataclass(frozen=True, slots=True)
class VersionInFlight:
    """One version of a campaign, and where its leads stand."""

    campaign: Campaign
    standing: Mapping[str, Standing]


def in_flight(transaction: Transaction, campaign: Campaign) -> list[VersionInFlight]:
    """The newest version and every older one that leads are still on, the newest first.

    Raises `ConfigurationError` if leads are on a version that is not stored, or on a step their version has not.
    """
    by_version: dict[str, dict[str, Standing]] = {campaign.journey_version: {}}
    for row in transaction.fetch("journey/list_active_stages", campaign_id=campaign.campaign_id):
        found = by_version.setdefault(row["journey_version"], {})
        found[row["stage"]] = Standing(row["entries"], row["first_due_at"])
    flying = []
    for version, standing in by_version.items():
        known = campaign if version == campaign.journey_version else stored_version(transaction, campaign, version)
        lost = [f"{found.entries} on `{stage}`" for stage, found in standing.items() if not known.has_step(stage)]
        if lost:
            raise ConfigurationError(
                f"entries of {campaign.campaign_id} stand on steps that version {version} has not: {', '.join(lost)};"
                " run `rekindle check` and restore the warehouse from before it was edited by hand"
            )
        flying.append(VersionInFlight(known, standing))
    return flying


def versions_in_flight(transaction: Transaction, campaign: Campaign) -> list[Campaign]:
    """The newest version and every older one that leads are still on, the newest first."""
    return [version.campaign for version in in_flight(transaction, campaign)]


def message_steps_due(warehouse: Warehouse, campaign: Campaign, as_of: datetime) -> list[tuple[Campaign, MessageStep]]:
    """Every send step on which somebody is due by this instant, with the version it belongs to."""
    with warehouse.transaction() as transaction:
        flying = in_flight(transaction, campaign)
    return [
        (version.campaign, step)
        for version in flying
        for step in version.campaign.message_steps
        if step.step_id in version.standing and version.standing[step.step_id].is_due(as_of)
    ]


def version_of_batch(warehouse: Warehouse, campaign: Campaign, batch_id: str) -> Campaign:
    """The version whose words the messages of a batch use; a batch is planned of one version only."""
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("journey/fetch_batch_version", batch_id=batch_id)
        version = rows[0]["journey_version"] if rows else None
        if version is None or version == campaign.journey_version:
            return campaign
        return stored_version(transaction, campaign, version)


def stored_version(transaction: Transaction, campaign: Campaign, version: str) -> Campaign:
    """A version as it was when the first lead entered on it; raises `ConfigurationError` if it is not stored."""
    rows = transaction.fetch("journey/fetch_version", campaign_id=campaign.campaign_id, journey_version=version)
    if not rows:
        raise ConfigurationError(
            f"leads are on version {version} of {campaign.campaign_id}, which is not in campaign_versions;"
            " restore that row of the warehouse"
        )
    return _restored(campaign.campaign_id, rows[0]["definition"], version)


@lru_cache(maxsize=256)
def _restored(campaign_id: str, definition: str, version: str) -> Campaign:
    return restore_campaign(campaign_id, definition, version)


def move_to_newest(transaction: Transaction, campaign: Campaign, flying: Sequence[VersionInFlight], run: Run) -> int:
    """Take leads of older versions over to this one, if its file says `moves`; how many moved.

    Raises `ConfigurationError` if a lead stands on a step that this version has not and that `moves` does not name.
    """
    older = [version for version in flying if version.campaign.journey_version != campaign.journey_version]
    if campaign.moves is None or not older:
        return 0
    lost = [line for line in _report(campaign, flying) if line.goes_to is None]
    if lost:
        raise ConfigurationError("; ".join(str(line) for line in lost))
    renamed = {old: new for old, new in sorted(campaign.moves.items()) if old != new}
    moved = transaction.execute(
        with_words("journey/insert_version_moves", stages=",".join(f"{old}.{new}" for old, new in renamed.items())),
        campaign_id=campaign.campaign_id,
        journey_version=campaign.journey_version,
        **run.signature(),
    )
    if moved:
        fold(transaction, run)
    return moved


@dataclass(frozen=True, slots=True)
class InFlight:
    """What becomes of the leads that stand on one step of an older version. Its text is what `rekindle plan` says."""

    journey_version: str
    step_id: str
    entries: int
    goes_to: str | None  # the step of the newest version they move to; None when nobody says which
    is_moved: bool  # by `moves`; otherwise they finish on their version
    is_deleted: bool  # the newest version has no such step

    def __str__(self) -> str:
        people = f"{self.entries} people wait" if self.entries != 1 else "1 person waits"
        where = f"the step you delete, `{self.step_id}`" if self.is_deleted else f"`{self.step_id}`"
        told = f"{people} on {where}"
        if not self.is_moved:
            return f"{told}, and finish on version {self.journey_version}"
        if self.goes_to is None:
            return f"{told}: say in `moves` where they go, for example `moves: {{{self.step_id}: …}}`"
        return f"{told}, and go on from `{self.goes_to}` of the new version"


def in_flight_report(transaction: Transaction, campaign: Campaign) -> list[InFlight]:
    """What becomes of the leads on older versions if this one runs next; empty when there are none."""
    return _report(campaign, in_flight(transaction, campaign))


def _report(campaign: Campaign, flying: Sequence[VersionInFlight]) -> list[InFlight]:
    lines = []
    for version in flying:
        if version.campaign.journey_version == campaign.journey_version:
            continue
        for stage, standing in version.standing.items():
            is_deleted = not campaign.has_step(stage)
            goes_to = None if campaign.moves is None else campaign.moves.get(stage, None if is_deleted else stage)
            is_moved = campaign.moves is not None
            number = version.campaign.journey_version
            lines.append(InFlight(number, stage, standing.entries, goes_to, is_moved, is_deleted))
    return lines
