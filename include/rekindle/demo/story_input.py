"""Prepares what the demonstration lives through: takes in the log, makes up what it lacks, decides the calendar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.demo import cdnow
from rekindle.demo.people import (
    FOLLOWED_BY_TICKET,
    LEADS_SCHEMA,
    MAKEABLE,
    TICKETS_SCHEMA,
    FictionalNumbers,
    make_up_leads,
    make_up_tickets,
)
from rekindle.errors import BadInputError
from rekindle.intake import (
    Counts,
    Handed,
    Validated,
    Workspace,
    summarise,
    validate_events,
    validate_leads,
    validate_tickets,
    write_inbox,
)

#: 10 in the morning in Honolulu and 15 or 16 in New York: inside the send window in every zone of the country.
LOGICAL_TIME_OF_DAY = time(20, tzinfo=UTC)
_PEOPLE_A_BATCH = 20_000
_SIGN_UP = re.compile(r"(user_|account_)?(sign(ed)?_?up|registered|register|registration|account_created|user_created)")
_LOG_IN = re.compile(r"(user_)?(log(ged)?_?in|sign(ed)?_?in|session_start(ed)?|app_open(ed)?)")
_PASSIVE = re.compile(r"badge_earned|(e_?mail|notification|push|sms)_.*")

#: What is made up of each column, in words.
_LABELS: Mapping[str, str] = {
    "email": "e-mail addresses (on domains reserved for examples)",
    "phone": "telephone numbers (555-0100 to 555-0199, kept for fiction)",
    "first_name": "first names",
    "time_zone": "time zones",
    "country": "countries",
    "locale": "locales",
    "plan": "plans",
    "signed_up_at": "sign-up dates (the first event)",
    "email_consented_at": "e-mail consents (the first event)",
    "sms_consented_at": "SMS consents (the first event, 9 in 10 of those with a number)",
}


@dataclass(frozen=True)
class Story:
    """Everything the demonstration needs to know about its input; the rows are in the inbox."""

    source: str  # the log, in words
    inbox: Path
    as_of: date
    daily_instants: tuple[datetime, ...]  # leads enter and are carried on every one
    follow_up_instants: tuple[datetime, ...]  # until the window of the last to enter has closed
    log_first: datetime
    log_last: datetime
    lead_count: int
    events_by_type: Mapping[str, int]
    key_action_events: tuple[str, ...]  # chosen by `classify_events` unless the caller knows better
    login_events: tuple[str, ...]
    sign_up_events: tuple[str, ...]
    passive_events: tuple[str, ...]
    counts: tuple[Counts, ...]  # per file taken in: read, kept, rejected with reasons and examples
    handed: Handed
    made_up: tuple[str, ...]  # what is not real, in words
    warnings: tuple[str, ...]

    @property
    def instants(self) -> tuple[datetime, ...]:
        """Every logical instant, in order; the first run finds the history already there."""
        return self.daily_instants + self.follow_up_instants

    @property
    def headline(self) -> str:
        """The input in one line."""
        taken = self.counts[0]
        told = f", {taken.rows_rejected:,} rejected" if taken.rows_rejected else ""
        return f"{taken.rows_kept:,} events of {self.lead_count:,} leads{told}"

    def summary(self) -> RenderableType:
        """What was taken in, what of it is real, and what was assumed, for a person to read."""
        facts = Table(title="The input", title_justify="left", show_header=False)
        facts.add_column(style="bold")
        facts.add_column(overflow="fold")
        by_type = ", ".join(f"{name} {count:,}" for name, count in self.events_by_type.items())
        for name, value in (
            ("log", self.source),
            ("from, to", f"{self.log_first:%Y-%m-%d %H:%M} to {self.log_last:%Y-%m-%d %H:%M} UTC"),
            ("events", by_type),
            ("leads", f"{self.lead_count:,}"),
            ("logical days", _calendar_in_words(self.daily_instants, self.follow_up_instants)),
            ("key actions", ", ".join(self.key_action_events) or "none"),
            ("log-ins", ", ".join(self.login_events) or "none"),
            ("prove nothing", ", ".join((*self.sign_up_events, *self.passive_events)) or "none"),
            ("made up", "; ".join(self.made_up) or "nothing"),
            *(("mind", warning) for warning in self.warnings),
        ):
            facts.add_row(name, Text(value))
        return Group(facts, summarise(self.counts))


def _calendar_in_words(daily: tuple[datetime, ...], follow_up: tuple[datetime, ...]) -> str:
    told = f"{len(daily)} daily, {daily[0]:%Y-%m-%d} to {daily[-1]:%Y-%m-%d}"
    return f"{told}; then {len(follow_up)} of follow-up, to {follow_up[-1]:%Y-%m-%d}" if follow_up else told


@dataclass(frozen=True)
class EventKinds:
    key_actions: tuple[str, ...]
    log_ins: tuple[str, ...]
    sign_ups: tuple[str, ...]
    passive: tuple[str, ...]


def classify_events(event_types: Iterable[str]) -> EventKinds:
    """What each event type proves, by its name: whatever is no sign-up, log-in or passive event is a key action."""
    kinds: dict[str, list[str]] = {"key_action": [], "log_in": [], "sign_up": [], "passive": []}
    for event_type in sorted(event_types):
        word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", event_type).lower().strip("_")
        if _SIGN_UP.fullmatch(word):
            kinds["sign_up"].append(event_type)
        elif _LOG_IN.fullmatch(word):
            kinds["log_in"].append(event_type)
        elif _PASSIVE.fullmatch(word):
            kinds["passive"].append(event_type)
        else:
            kinds["key_action"].append(event_type)
    return EventKinds(*(tuple(kinds[kind]) for kind in ("key_action", "log_in", "sign_up", "passive")))


def logical_calendar(
    as_of: date, daily_steps: int = 21, follow_up_days: int = 30, follow_up_every: int = 7
) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
    """The daily instants and the follow-up instants; the last is `as_of` at 20:00 UTC.

    Follow-up days that would fall on a weekend, when nothing is sent, come on the Friday before.

    The follow-up is as long as the re-activation window, so that of everybody who entered in the daily part is known
    whether they came back.
    """
    last = datetime.combine(as_of, LOGICAL_TIME_OF_DAY)
    first = last - timedelta(days=daily_steps + follow_up_days)
    daily = tuple(first + timedelta(days=day) for day in range(daily_steps + 1))
    between = range(follow_up_every, follow_up_days, follow_up_every)
    weekly = {_working_day(daily[-1] + timedelta(days=day)) for day in between} - {*daily}
    return daily, (*sorted(weekly), last) if follow_up_days else ()


def _working_day(instant: datetime) -> datetime:
    return instant - timedelta(days=max(0, instant.weekday() - 4))


def prepare_story(
    events: Path | None,
    leads: Path | None,
    as_of: date | None,
    inbox: Path,
    today: date,
    *,
    tickets: Path | None = None,
    key_action_events: Iterable[str] | None = None,
    daily_steps: int = 21,
    follow_up_days: int = 30,
    follow_up_every: int = 7,
) -> Story:
    """Fill the inbox from the given files, or from the CDNOW log when there is no event file.

    Without `as_of`, the story ends on the day the log ends (the CDNOW log is moved to end just before `today`).
    Raises `BadInputError` when a file can not be used or no event is left.
    """
    with Workspace() as workspace:
        newest_day = as_of or today
        newest = datetime.combine(newest_day, time.max, tzinfo=UTC)
        source, made_up = (str(events), []) if events else (cdnow.DESCRIPTION, [])
        if events is None:
            moved = cdnow.write_cdnow_events(workspace.folder, ends_by=newest_day)
            events = moved.path
            made_up = [f"the days (moved by {moved.weeks_moved:,} weeks) and the time of day of every purchase"]
        checked_leads = validate_leads(leads, as_of=newest, workspace=workspace) if leads else None
        log = validate_events(events, checked_leads, as_of=newest, workspace=workspace)
        _refuse_empty(log, events)
        log_first, log_last = _span(log)
        last_day = as_of or log_last.date()
        daily, follow_up = logical_calendar(last_day, daily_steps, follow_up_days, follow_up_every)

        people = _people(workspace, log, checked_leads)
        columns_given = checked_leads.columns_given if checked_leads else frozenset()
        lead_rows = _gather(workspace, "leads", LEADS_SCHEMA, make_up_leads(_batches(people), columns_given))
        numbers_made_up = 0 if "phone" in columns_given else len(lead_rows.filter("phone is not null"))
        made_up += [_LABELS[column] for column in MAKEABLE if column not in columns_given]
        checked_tickets = None
        if tickets:
            checked_tickets = validate_tickets(tickets, checked_leads, as_of=newest, workspace=workspace)
            ticket_rows = checked_tickets.rows
        else:
            followed = log.rows.filter(FOLLOWED_BY_TICKET).order("source_row").project("event_id, user_id, occurred_at")
            until = newest.replace(tzinfo=None)
            ticket_rows = _gather(workspace, "tickets", TICKETS_SCHEMA, make_up_tickets(_batches(followed), until))
            made_up.append("support tickets")

        taken_in = [checked for checked in (log, checked_leads, checked_tickets) if checked is not None]
        handed = write_inbox(
            workspace,
            inbox,
            events=log.rows,
            leads=lead_rows,
            tickets=ticket_rows,
            rejects=[checked.rejects for checked in taken_in],
            first_until=daily[0],
            step_instants=daily + follow_up,
        )
        by_type = _count_by_type(log)
        kinds = classify_events(by_type)
        key_actions = tuple(key_action_events) if key_action_events is not None else kinds.key_actions
        return Story(
            source=source,
            inbox=inbox,
            as_of=last_day,
            daily_instants=daily,
            follow_up_instants=follow_up,
            log_first=log_first,
            log_last=log_last,
            lead_count=len(lead_rows),
            events_by_type=by_type,
            key_action_events=key_actions,
            login_events=kinds.log_ins,
            sign_up_events=kinds.sign_ups,
            passive_events=kinds.passive,
            counts=tuple(checked.counts for checked in taken_in),
            handed=handed,
            made_up=tuple(made_up),
            warnings=tuple(_warnings(key_actions, by_type, log_first, log_last, daily[0], numbers_made_up)),
        )


def _refuse_empty(log: Validated, path: Path) -> None:
    if log.counts.rows_kept:
        return
    reasons = ", ".join(f"{count:,} × {reason}" for reason, count in log.counts.by_reason.items())
    first = next(iter(log.counts.examples.values()))[0]
    raise BadInputError(
        f"{path}: none of the {log.counts.rows_read:,} rows can be used ({reasons}). "
        f"Row {first.source_row}, column {first.column_name}: {first.remedy}."
    )


def _span(log: Validated) -> tuple[datetime, datetime]:
    ((first, last),) = log.rows.aggregate("min(occurred_at), max(occurred_at)").fetchall()
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)


def _count_by_type(log: Validated) -> dict[str, int]:
    counted = log.rows.aggregate("event_type, count(*) as events", "event_type").order("events desc, event_type")
    return dict(counted.fetchall())


def _people(workspace: Workspace, log: Validated, leads: Validated | None) -> duckdb.DuckDBPyRelation:
    """Everybody there is, in the order of first sight: the leads file's, else all who appear in the log."""
    first_seen = log.rows.aggregate("user_id, min(occurred_at) as first_seen", "user_id")
    if leads is None:
        return first_seen.order("first_seen, user_id")
    return (
        leads.rows.join(first_seen, "user_id", how="left")
        .project("*, coalesce(first_seen, signed_up_at) as known_since")
        .project("* exclude (first_seen, known_since), known_since as first_seen")
        .order("first_seen nulls last, user_id")
    )


def _batches(people: duckdb.DuckDBPyRelation) -> Iterable[pa.RecordBatch]:
    batches: Iterable[pa.RecordBatch] = people.to_arrow_reader(_PEOPLE_A_BATCH)
    return batches


def _gather(
    workspace: Workspace, hint: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> duckdb.DuckDBPyRelation:
    """Write the batches to a parquet file in the workspace, so that the people of a large log need little memory."""
    path = workspace.folder / f"{workspace.name(hint)}.parquet"
    with pq.ParquetWriter(path, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return workspace.connection.read_parquet(str(path))


def _warnings(
    key_actions: tuple[str, ...],
    by_type: Mapping[str, int],
    log_first: datetime,
    log_last: datetime,
    first_instant: datetime,
    numbers_made_up: int,
) -> Iterable[str]:
    if unknown := [name for name in key_actions if name not in by_type]:
        yield f"key actions that never happen in the log: {', '.join(unknown)}; it has {', '.join(by_type)}"
    if not key_actions:
        yield "the log has no key action: only log-ins, clicks and replies can prove life"
    if log_first > first_instant - timedelta(days=90):
        yield (
            f"the log begins {log_first:%Y-%m-%d}, less than 90 days before the first logical day "
            f"({first_instant:%Y-%m-%d}): few leads can be cold yet"
        )
    if log_last < first_instant:
        yield (
            f"the log ends {log_last:%Y-%m-%d}, before the first logical day ({first_instant:%Y-%m-%d}): "
            "nobody can come back"
        )
    size = FictionalNumbers().size
    if numbers_made_up >= size:
        yield f"all {size:,} fictional telephone numbers are dealt out; the people who came last have none"
