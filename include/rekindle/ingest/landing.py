"""Landing files → raw tables → message events → message statuses, suppressions, endings: one transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rekindle.events import LandingFile, list_landing_files, read_landing_file
from rekindle.journey import end_journeys
from rekindle.run import Run, record_run, refuse_older_day
from rekindle.warehouse import Transaction, Warehouse


def load_landing_zone(warehouse: Warehouse, landing: Path, run: Run) -> dict[str, int]:
    """Load every landing file that the manifest does not know, apply what it says, and end the journeys it ends.

    The files are parsed before the warehouse is opened. Loading the same files again changes nothing. Raises
    `RefusedError` if a later day is finished.
    """
    with warehouse.transaction() as transaction:
        refuse_older_day(transaction, run, "ingest")
        loaded = {row["landing_file"] for row in transaction.fetch("ingest/list_loaded_files")}
    files = [
        read_landing_file(path, landing)
        for path in list_landing_files(landing)
        if path.relative_to(landing).as_posix() not in loaded
    ]
    with warehouse.transaction() as transaction:
        counts = _load_raw(transaction, files, run)
        transaction.insert(
            "rekindle_state.incoming_events", _rows(event for file in files for event in file.message_events)
        )
        counts["new_events"] = transaction.execute("ingest/insert_message_events", recorded_at=run.recorded_at)
        counts["settled"] = transaction.execute("ingest/settle_messages")
        counts["suppressed"] = transaction.execute("ingest/merge_suppressions", recorded_at=run.recorded_at)
        transaction.execute("ingest/delete_incoming_events")
        counts["consents"] = transaction.execute("ingest/insert_consents", recorded_at=run.recorded_at)
        counts["ended"] = end_journeys(transaction, run)
        record_run(transaction, run, "ingest", counts)
    return counts


def _load_raw(transaction: Transaction, files: Sequence[LandingFile], run: Run) -> dict[str, int]:
    manifest = [
        {
            "landing_file": file.landing_file,
            "stream": str(file.stream),
            "sha256": file.sha256,
            "byte_count": file.byte_count,
            "element_count": len(file.elements) + len(file.dead_letters),
            "dead_letter_count": len(file.dead_letters),
            "loaded_as_of": run.as_of,
            "run_id": run.run_id,
        }
        for file in files
    ]
    app_events = [
        row | {"loaded_at": run.recorded_at} for row in _rows(event for file in files for event in file.app_events)
    ]
    return {
        "files": transaction.insert("rekindle_raw.landing_files", manifest),
        "elements": transaction.insert(
            "rekindle_raw.webhook_elements", _rows(element for file in files for element in file.elements)
        ),
        "dead_letters": transaction.insert(
            "rekindle_raw.dead_letters", _rows(letter for file in files for letter in file.dead_letters)
        ),
        "app_events": transaction.insert("rekindle_raw.events", app_events),
    }


def _rows(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Rows of one dataclass as dicts; `asdict` would copy every value deeply, and there may be a million."""
    rows = iter(items)
    first = next(rows, None)
    if first is None:
        return []
    names = [field.name for field in fields(first)]
    return [{name: getattr(item, name) for name in names} for item in itertools.chain([first], rows)]
