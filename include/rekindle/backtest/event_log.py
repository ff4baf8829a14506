"""Anybody's log, taken in as the intake takes it in, in a scratch warehouse the models can be run over."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml

from rekindle.clock import Clock
from rekindle.demo.story_input import classify_events
from rekindle.errors import BadInputError
from rekindle.intake import Counts, Workspace, validate_events
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.migrate import migrate


@dataclass(frozen=True)
class Kinds:
    """What the log's event types prove. Whatever is in no list was seen in the product, which keeps a lead warm."""

    key_actions: tuple[str, ...]
    log_ins: tuple[str, ...]
    passive: tuple[str, ...]
    email_clicks: tuple[str, ...] = ()
    email_opens: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """How the models are told. A blank stands for none: an unset variable would be the project's own list."""
        return {
            "REKINDLE_KEY_ACTION_EVENTS": ",".join(self.key_actions) or " ",
            "REKINDLE_LOGIN_EVENTS": ",".join(self.log_ins) or " ",
            "REKINDLE_PASSIVE_EVENTS": ",".join(self.passive) or " ",
        }


@dataclass(frozen=True)
class EventLog:
    """A log in a scratch warehouse."""

    path: Path
    warehouse: Path
    counts: Counts
    by_type: Mapping[str, int]
    first: datetime
    last: datetime
    kinds: Kinds


@dataclass(frozen=True)
class WishedKinds:
    """What the caller says the event types prove; None is decided by their names."""

    key_actions: Sequence[str] | None = None
    log_ins: Sequence[str] | None = None
    passive: Sequence[str] | None = None


def load_log(path: Path, warehouse: Path, wished: WishedKinds, project: Path, clock: Clock) -> EventLog:
    """Check the file and put its good rows into a new, migrated warehouse file.

    Raises `BadInputError` when the file can not be used, or an event type that was named is not in it.
    """
    scratch = DuckDbWarehouse(warehouse)
    migrate(scratch, clock)
    with Workspace() as workspace:
        checked = validate_events(path, workspace=workspace)
        if not checked.counts.rows_kept:
            reasons = ", ".join(f"{count:,} × {reason}" for reason, count in checked.counts.by_reason.items())
            raise BadInputError(f"{path}: none of the {checked.counts.rows_read:,} rows can be used ({reasons})")
        rows = checked.rows.project("*, occurred_at as loaded_at").to_arrow_table()
    with scratch.transaction() as transaction:
        transaction.insert_table("rekindle_raw.events", rows)
        types = transaction.fetch("backtest/list_event_types")
    by_type = {str(row["event_type"]): int(row["event_count"]) for row in types}
    return EventLog(
        path,
        warehouse,
        checked.counts,
        by_type,
        min(row["first_at"] for row in types),
        max(row["last_at"] for row in types),
        decide_kinds(path, by_type, wished, project),
    )


def decide_kinds(path: Path, by_type: Mapping[str, int], wished: WishedKinds, project: Path) -> Kinds:
    """The kinds that were wished for; the rest by the lists of the dbt project, else by the type's name as in the demo.

    Raises `BadInputError` when a wished type is not in the log.
    """
    for name in (*(wished.key_actions or ()), *(wished.log_ins or ()), *(wished.passive or ())):
        if name.strip().lower() not in {each.strip().lower() for each in by_type}:
            nearest = difflib.get_close_matches(name, by_type, n=1)
            hint = f" Did you mean `{nearest[0]}`?" if nearest else ""
            raise BadInputError(
                f"{path}: no event is of type `{name}`; the log has {', '.join(f'`{each}`' for each in by_type)}.{hint}"
            )
    listed = _project_lists(project)
    unlisted = classify_events(name for name in by_type if name.strip().lower() not in set().union(*listed.values()))

    def by_list(kind: str) -> tuple[str, ...]:
        return tuple(name for name in by_type if name.strip().lower() in listed[kind])

    def chosen(wish: Sequence[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(wish)) if wish else default

    key_actions = chosen(wished.key_actions, by_list("key_action") + unlisted.key_actions)
    log_ins = chosen(wished.log_ins, by_list("login") + unlisted.log_ins)
    passive = chosen(wished.passive, by_list("passive") + unlisted.passive)
    if not wished.passive:  # what was named to be done by a lead does not happen to it
        passive = tuple(name for name in passive if name not in {*(wished.key_actions or ()), *(wished.log_ins or ())})
    counted = {*key_actions, *log_ins, *passive}
    return Kinds(
        key_actions,
        log_ins,
        passive,
        *(tuple(name for name in by_list(kind) if name not in counted) for kind in ("email_click", "email_open")),
    )


def _project_lists(project: Path) -> dict[str, set[str]]:
    """The event types that `dbt_project.yml` lists, by kind."""
    variables: dict[str, Any] = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return {
        kind: {str(name).strip().lower() for name in variables[f"rekindle__{kind}_events"]}
        for kind in ("login", "key_action", "email_click", "email_open", "passive")
    }


def read_instants(texts: Sequence[str]) -> tuple[datetime, ...]:
    """Dates or instants, comma separated or repeated, in order. A date is its midnight UTC.

    Raises `BadInputError` for what is neither.
    """
    instants = []
    for text in (part.strip() for each in texts for part in each.split(",")):
        try:
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise BadInputError(
                f"--as-of: `{text}` is no date; write 2014-03-01, several with commas: 2014-03-01,2014-06-01"
            ) from error
        instants.append(instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC))
    return tuple(sorted(set(instants)))


def check_instants(log: EventLog, instants: Sequence[datetime], horizon_days: int) -> None:
    """Raise `BadInputError` unless something happened before each instant, and the log covers the horizon after it."""
    horizon = timedelta(days=horizon_days)
    until = _midnight_after(log.last.date())
    for instant in instants:
        if instant <= log.first:
            raise BadInputError(
                f"{log.path}: as of {spelled(instant)} nothing had happened yet: the log begins on"
                f" {log.first:%Y-%m-%d}; choose a later date"
            )
        if instant + horizon > until:
            raise BadInputError(
                f"{log.path}: the {horizon_days} days after {spelled(instant)} are not over when the log ends, on"
                f" {log.last:%Y-%m-%d}; choose {spelled(until - horizon)} or earlier, or a shorter --horizon-days"
            )


def spelled(instant: datetime) -> str:
    """The date, with the time of day when it is not midnight."""
    return f"{instant:%Y-%m-%d}" if instant.time() == time() else f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)
