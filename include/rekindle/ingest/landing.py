"""Landing files → raw tables → message events → message statuses, suppressions, endings.

Files are loaded a parcel at a time, each parcel in one transaction with its manifest: whatever dies in between, a file
is loaded wholly and once. What the events come to is read from all of them, so neither order nor grouping matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rekindle.events import landing_name, list_landing_files
from rekindle.ingest.parcels import Manifest, Parcel, read_parcels, table_of
from rekindle.journey import end_journeys
from rekindle.replies.questions import read_answers
from rekindle.replies.queue import queue_replies
from rekindle.run import Run, record_run, refuse_older_day
from rekindle.warehouse import Transaction, Warehouse

if TYPE_CHECKING:
    from upath import UPath

#: Kind of row → table, and the column that says when it was loaded, if there is one.
RAW_TABLES: dict[str, tuple[str, str | None]] = {
    "elements": ("rekindle_raw.webhook_elements", None),
    "dead_letters": ("rekindle_raw.dead_letters", None),
    "app_events": ("rekindle_raw.events", "loaded_at"),
    "opt_ins": ("rekindle_raw.opt_ins", "loaded_at"),
}
WORK_TABLES: dict[str, str] = {
    "message_events": "rekindle_state.incoming_events",
    "preferences": "rekindle_state.incoming_preferences",
}

#: How far back a tick between two days looks for files: receivers write into today's folder. The day looks everywhere.
TICK_LOOKS_BACK = timedelta(days=2)

COUNTS = (
    *("files", "elements", "dead_letters", "app_events", "opt_ins", "new_events", "foreign_events"),
    *("answers", "preferences", "settled", "lifted", "suppressed", "consents", "ended", "replies"),
)


def load_landing_zone(warehouse: Warehouse, landing: Path | UPath, run: Run) -> dict[str, int]:
    """Load every landing file that the manifest does not know, apply what it says, and end the journeys it ends.

    Loading the same files again changes nothing. Raises `RefusedError` if a later day is finished.
    """
    with warehouse.transaction() as transaction:
        refuse_older_day(transaction, run, "ingest")
    counts = _load(warehouse, landing, run, list_landing_files(landing), since_day="")
    with warehouse.transaction() as transaction:
        counts |= finish(transaction, run)
        record_run(transaction, run, "ingest", counts)
    return counts


def listen(warehouse: Warehouse, landing: Path | UPath, run: Run) -> dict[str, int]:
    """Load what arrived since, between two days: the same work, without finishing a day.

    A tick is about now. It acts as of its own instant, never of one in the clock's future and never of one before the
    newest finished day; so it moves nothing backwards, finishes no day, and is never refused: an opt-out is never too
    old to be heard. A tick that finds nothing writes nothing; what a tick that died had loaded and not ended, the next
    one that loads something ends, or the day.
    """
    run = replace(run, as_of=min(run.as_of, run.recorded_at))
    since = (run.recorded_at - TICK_LOOKS_BACK).date()
    counts = dict.fromkeys(COUNTS, 0)
    files = list_landing_files(landing, since)
    if not files:
        return counts
    counts |= _load(warehouse, landing, run, files, since_day=since.isoformat())
    if counts["files"]:
        with warehouse.transaction() as transaction:
            newest = transaction.fetch("audit/fetch_watermark", activity="ingest", campaign_id="")[0]["newest_as_of"]
            run = replace(run, as_of=max(run.as_of, newest or run.as_of))
            counts |= finish(transaction, run)
            record_run(transaction, run, "listen", counts)
    return counts


def _load(
    warehouse: Warehouse, landing: Path | UPath, run: Run, files: Sequence[Path | UPath], since_day: str
) -> dict[str, int]:
    counts = Counter(dict.fromkeys(COUNTS, 0))
    with warehouse.transaction() as transaction:
        loaded = _loaded_files(transaction, since_day)
    while new := [file for file in files if landing_name(file, landing) not in loaded]:
        for parcel in read_parcels(new, landing):
            with warehouse.transaction() as transaction:
                # Somebody else may have loaded some of them since: a day and a tick between days can meet.
                known = _loaded_files(transaction, since_day)
                if not parcel.names & known:
                    counts.update(_load_parcel(transaction, parcel, run))
            loaded |= known | (set() if parcel.names & known else parcel.names)
    return dict(counts)


def _loaded_files(transaction: Transaction, since_day: str) -> set[str]:
    return {row["landing_file"] for row in transaction.fetch("ingest/list_loaded_files", since_day=since_day)}


def _load_parcel(transaction: Transaction, parcel: Parcel, run: Run) -> dict[str, int]:
    manifest = table_of(Manifest, parcel.manifest)
    manifest = _with_instant(manifest, "loaded_as_of", run.as_of).append_column(
        "run_id", pa.array([run.run_id] * manifest.num_rows, type=pa.string())
    )
    return {"files": transaction.insert_table("rekindle_raw.landing_files", manifest)} | insert_rows(
        transaction, parcel, run
    )


def insert_rows(transaction: Transaction, parcel: Parcel, run: Run) -> dict[str, int]:
    """Keep the rows of a parcel and let what they tell change events, messages and suppressions.

    What is told again changes none of these.
    """
    counts = {}
    for kind, (table, loaded_at) in RAW_TABLES.items():
        rows = parcel.rows[kind]
        counts[kind] = transaction.insert_table(
            table, _with_instant(rows, loaded_at, run.recorded_at) if loaded_at else rows
        )
    for kind, table in WORK_TABLES.items():
        transaction.insert_table(table, parcel.rows[kind])
    return counts | _apply(transaction, run)


def _apply(transaction: Transaction, run: Run) -> dict[str, int]:
    foreign = transaction.execute("ingest/insert_foreign_events", recorded_at=run.recorded_at)
    transaction.execute("ingest/delete_foreign_incoming")
    counts = {
        "foreign_events": foreign,
        "answers": read_answers(transaction, run),
        "new_events": transaction.execute("ingest/insert_message_events", recorded_at=run.recorded_at),
        "preferences": transaction.execute("ingest/insert_preferences", recorded_at=run.recorded_at),
        "settled": transaction.execute("ingest/settle_messages"),
        "lifted": transaction.execute("ingest/lift_suppressions"),
        "suppressed": transaction.execute("ingest/merge_suppressions", recorded_at=run.recorded_at),
    }
    transaction.execute("ingest/delete_incoming_events")
    transaction.execute("ingest/delete_incoming_preferences")
    return counts


def finish(transaction: Transaction, run: Run) -> dict[str, int]:
    """Read the consents that the company stated and people gave or took back; end every journey that is ended."""
    return {
        "consents": transaction.execute("ingest/insert_consents", recorded_at=run.recorded_at),
        "ended": end_journeys(transaction, run),
        "replies": queue_replies(transaction, run),
    }


def _with_instant(rows: pa.Table, column: str, instant: datetime) -> pa.Table:
    naive = instant.astimezone(UTC).replace(tzinfo=None)
    return rows.append_column(column, pa.array([naive] * rows.num_rows, type=pa.timestamp("us")))
