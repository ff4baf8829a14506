"""Writes checked rows as the parquet folders the ingest reads: one folder per instant, of what existed before it.

`<inbox>/<table>/until=<YYYY-MM-DDTHHMMSS>Z/<table>.parquet`
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb

from rekindle.intake.workspace import Workspace

#: When a row of each table began to exist. A ticket is handed over when it is closed, because its later columns say
#: how it ended; a lead with no date at all was always there.
_EXISTED_AT = {
    "events": "occurred_at",
    "users": "known_since",
    "support_tickets": "coalesce(closed_at, opened_at)",
    "external_messages": "sent_at",
    "rejects": "timestamp '-infinity'",
}
_ORDER = {
    "events": "occurred_at, event_id",
    "users": "known_since, user_id",
    "support_tickets": "opened_at, ticket_id",
    "external_messages": "sent_at, external_message_id",
    "rejects": "source_table, source_file, source_row, column_name",
}


@dataclass(frozen=True)
class Handed:
    """How many rows each folder holds: table → instant → rows. Later than the last step is `afterwards`."""

    rows: dict[str, dict[datetime, int]]
    afterwards: datetime

    def total(self, table: str) -> int:
        return sum(self.rows.get(table, {}).values())


def folder_name(until: datetime) -> str:
    """The folder of what existed before the instant `until`."""
    return f"until={until.astimezone(UTC):%Y-%m-%dT%H%M%S}Z"


def write_inbox(
    workspace: Workspace,
    inbox: Path,
    *,
    events: duckdb.DuckDBPyRelation,
    leads: duckdb.DuckDBPyRelation,
    tickets: duckdb.DuckDBPyRelation | None,
    external_messages: duckdb.DuckDBPyRelation | None = None,
    rejects: Iterable[duckdb.DuckDBPyRelation],
    first_until: datetime,
    step_instants: Sequence[datetime],
) -> Handed:
    """Replace the inbox's folders: history before `first_until`, then one folder per step, rejects in the first.

    Rows later than the last step go to a folder `until` the midnight after the newest row, which no step loads.
    The relations must be the workspace's.
    """
    tables = {"events": events, "users": _with_known_since(workspace, leads, events)}
    if tickets is not None:
        tables["support_tickets"] = tickets
    if external_messages is not None:
        tables["external_messages"] = external_messages
    told = list(rejects)
    if told:
        union = told[0]
        for more in told[1:]:
            union = union.union(more)
        tables["rejects"] = union
    for table, relation in tables.items():
        relation.create_view(f"handover_{table}")
    steps = sorted({first_until, *step_instants})
    afterwards = _midnight_after(workspace, [table for table in tables if table != "rejects"], steps[-1])
    inbox.mkdir(parents=True, exist_ok=True)
    written = {table: _write_table(workspace, inbox, table, [*steps, afterwards]) for table in tables}
    for table in _EXISTED_AT:
        shutil.rmtree(inbox / table, ignore_errors=True)
        if table in tables:
            (inbox / f".{table}.part").replace(inbox / table)
    for table in tables:
        workspace.connection.execute(f"drop view handover_{table}")
    return Handed(written, afterwards)


def _with_known_since(
    workspace: Workspace, leads: duckdb.DuckDBPyRelation, events: duckdb.DuckDBPyRelation
) -> duckdb.DuckDBPyRelation:
    """The leads and the first sign of each; nobody may be handed over before having been there."""
    first_seen = events.aggregate("user_id as seen_id, min(occurred_at) as first_seen", "user_id")
    return leads.join(first_seen, "user_id = seen_id", how="left").project(
        "* exclude (seen_id, first_seen),"
        " coalesce(least(signed_up_at, first_seen), timestamp '-infinity') as known_since"
    )


def _midnight_after(workspace: Workspace, tables: Iterable[str], last_step: datetime) -> datetime:
    """The first midnight after every row and after the last step."""
    newest = last_step.astimezone(UTC)
    for table in tables:
        ((found,),) = workspace.fetch("find_newest_row", rows=f"handover_{table}", existed_at=_EXISTED_AT[table])
        if found is not None:
            newest = max(newest, found.replace(tzinfo=UTC))
    return newest.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _write_table(workspace: Workspace, inbox: Path, table: str, untils: Sequence[datetime]) -> dict[datetime, int]:
    """Write beside, so that a reader never sees half a table."""
    beside = inbox / f".{table}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    written: dict[datetime, int] = {}
    for since, until in pairwise([None, *untils]):
        assert until is not None
        folder = beside / folder_name(until)
        folder.mkdir()
        ((written[until],),) = workspace.fetch(
            "hand_over_rows",
            columns="* exclude (known_since)" if table == "users" else "*",
            rows=f"handover_{table}",
            existed_at=_EXISTED_AT[table],
            since=_spelled(since) if since else None,
            until=_spelled(until),
            order=_ORDER[table],
            path=str(folder / f"{table}.parquet"),
        )
        if not written[until]:
            del written[until]
            shutil.rmtree(folder)
    assert sum(written.values()) == workspace.count(f"handover_{table}"), f"rows of {table} fell between the folders"
    return written


def _spelled(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
