"""The company's own tables, handed over as parquet folders `<table>/until=<instant>/`.

In production these tables are loaded by the company's own pipeline; the embedded stack reads them from the inbox.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rekindle.errors import BadInputError
from rekindle.run import Run
from rekindle.warehouse import Transaction, Warehouse

TABLES = ("users", "events", "support_tickets", "product_feedback", "external_messages", "rejects")
_UNTIL = "%Y-%m-%dT%H%M%SZ"


def load_inbox(warehouse: Warehouse, inbox: Path, run: Run) -> dict[str, int]:
    """Load every folder that was complete before the run's logical time, once; rows loaded per table."""
    counts = dict.fromkeys(TABLES, 0)
    with warehouse.transaction() as transaction:
        loaded = {row["landing_file"] for row in transaction.fetch("ingest/list_loaded_files", since_day="")}
        for table in TABLES:
            for file in sorted((inbox / table).glob("until=*/*.parquet")):
                name = f"inbox/{file.relative_to(inbox).as_posix()}"
                if name not in loaded and _until(file) <= run.as_of:
                    counts[table] += _load(transaction, table, file, name, run)
    return counts


def _until(file: Path) -> datetime:
    try:
        return datetime.strptime(file.parent.name.removeprefix("until="), _UNTIL).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInputError(
            f"inbox folder {file.parent.name} does not tell an instant; name it until=YYYY-MM-DDTHHMMSSZ"
        ) from error


def _load(transaction: Transaction, table: str, file: Path, name: str, run: Run) -> int:
    rows = pq.read_table(file, partitioning=None)
    loaded_at = pa.array([run.recorded_at.replace(tzinfo=None)] * rows.num_rows, type=pa.timestamp("us"))
    transaction.insert_table(f"rekindle_raw.{table}", rows.append_column("loaded_at", loaded_at))
    transaction.insert(
        "rekindle_raw.landing_files",
        [
            {
                "landing_file": name,
                "stream": f"inbox/{table}",
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "byte_count": file.stat().st_size,
                "element_count": rows.num_rows,
                "dead_letter_count": 0,
                "loaded_as_of": run.as_of,
                "run_id": run.run_id,
            }
        ],
    )
    return int(rows.num_rows)
