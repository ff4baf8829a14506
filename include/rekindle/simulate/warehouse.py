"""A warehouse of made-up people: the migrations, the activation relations as plain tables, the reviewed seeds.

The tables are made from the columns that `dbt_project/models/activation` documents, so that they can not drift from the
models; without dbt, whoever plays with them writes their rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from rekindle.identity import address_hash
from rekindle.project import project_root
from rekindle.simulate.clock import StillClock
from rekindle.vocabulary import Channel
from rekindle.warehouse import Warehouse
from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.duckdb import DuckDbTransaction, DuckDbWarehouse
from rekindle.warehouse.migrate import migrate

ACTIVATION = "rekindle_activation"
#: Long before anything that is played: every made-up consent is old.
CONSENTED_AT = datetime(2025, 1, 1, tzinfo=UTC)
#: Seeds that statements read, and their columns that hold no text.
SEEDS: Mapping[str, Mapping[str, str]] = {"provider_errors": {"retry_after_hours": "bigint"}}
#: What every activation model offers (docs/library.md): enough to play one that is not documented yet.
OFFER_COLUMNS: Mapping[str, str] = {
    "lead_id": "varchar",
    "person_id": "varchar",
    "scored_as_of": "timestamp",
    "crossed_cold_on": "date",
    "cold_score": "double",
    "score_contributions": "varchar",
    "segment": "varchar",
}

_TYPES = {"string": "varchar", "date": "date", "timestamp": "timestamp", "boolean": "boolean", "int64": "bigint"}


@cache
def activation_columns() -> dict[str, dict[str, str]]:
    """Model → column → type, as documented beside the models."""
    folder = project_root() / "dbt_project" / "models"
    files = [path for room in ("activation", "library") for path in sorted((folder / room).glob("*.yml"))]
    models = [model for path in files for model in yaml.safe_load(path.read_text())["models"]]
    return {
        model["name"]: {column["name"]: _TYPES.get(column["data_type"], "double") for column in model["columns"]}
        for model in models
        if model["name"].startswith("sync_")
    }


class MemoryWarehouse:
    """DuckDB without a file, for what nobody else looks at: no lock, no log, nothing to open, one transaction at a
    time.
    """

    dialect = DUCKDB

    def __init__(self) -> None:
        # of statements over a few thousand rows two threads are slower, and the best order of joins costs what it saves
        self._engine = duckdb.connect(config={"threads": 1, "disabled_optimizers": "join_order"})

    @contextmanager
    def transaction(self) -> Iterator[DuckDbTransaction]:
        """Begin, yield, commit; or roll back on an exception."""
        self._engine.begin()
        try:
            yield DuckDbTransaction(self._engine, self.dialect)
        except BaseException:
            self._engine.rollback()
            raise
        self._engine.commit()

    def run_script(self, sql: str) -> None:
        """Run a rendered migration."""
        self._engine.execute(sql)

    def write_to(self, path: Path) -> None:
        """Copy everything into a file that `REKINDLE_WAREHOUSE_PATH` can name."""
        self._engine.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as kept")
        self._engine.execute("copy from database memory to kept")
        self._engine.execute("detach kept")

    def close(self) -> None:
        """Give the memory back."""
        self._engine.close()


def build_warehouse(path: Path, at: datetime) -> None:
    """An empty warehouse in a new file, migrated at an instant."""
    fill_warehouse(DuckDbWarehouse(path), at)


def fill_warehouse(warehouse: Warehouse, at: datetime, offers: Iterable[str] = ()) -> None:
    """Migrate, and make the tables that dbt would make; with tables for these activation models too."""
    migrate(warehouse, StillClock(at))
    tables = {name: dict(OFFER_COLUMNS) for name in offers} | activation_columns()
    create = [f"create schema {ACTIVATION}", "create schema rekindle_seeds"]
    create += [_create(f"{ACTIVATION}.{name}", columns) for name, columns in tables.items()]
    seeds = {name: _read_seed(name) for name in SEEDS}
    create += [
        _create(f"rekindle_seeds.{name}", dict.fromkeys(rows[0], "varchar") | dict(SEEDS[name]))
        for name, rows in seeds.items()
    ]
    warehouse.run_script(";\n".join(create))
    with warehouse.transaction() as transaction:
        for name, rows in seeds.items():
            transaction.insert(f"rekindle_seeds.{name}", rows)


def contact_row(lead_id: str, email: str | None, phone: str | None, **words: Any) -> dict[str, Any]:
    """A row of `sync_lead_contacts`; words that are no columns are left out, columns that are not given are empty."""
    known = {"lead_id": lead_id, "person_id": lead_id, "email": email, "phone": phone, "is_made_up": True} | words
    known |= {
        "email_hash": address_hash(email) if email else None,
        "phone_hash": address_hash(phone) if phone else None,
    }
    return {name: known.get(name) for name in activation_columns()["sync_lead_contacts"]}


def offer_row(lead_id: str, at: datetime, **words: Any) -> dict[str, Any]:
    """A row of an activation model: the lead may enter at the run that acts as of `at`."""
    known = {
        "lead_id": lead_id,
        "person_id": lead_id,
        "cold_score": 80.0,
        "score_contributions": "{}",
        "crossed_cold_on": at.date(),
        "segment": "low_engagement",
        "scored_as_of": at,
    } | words
    return {name: known.get(name) for name in OFFER_COLUMNS}


def signal_row(lead_id: str, at: datetime, kind: str, name: str) -> dict[str, Any]:
    """A row of `sync_inbound_signals`: a keyword, an opt-in, a group or a webhook an hour before the run."""
    happened_at = at - timedelta(hours=1)
    words = {"kind": kind, "name": name, "happened_at": happened_at, "scored_as_of": at}
    return {"lead_id": lead_id, "person_id": lead_id} | words


def sign_up_row(lead_id: str, email: str, at: datetime) -> dict[str, Any]:
    """A row of `opt_ins`: a form that asks for a confirmation."""
    known = {
        "opt_in_id": f"{lead_id} {at.isoformat()}",
        "channel": "email",
        "user_id": lead_id,
        "address": email,
        "address_hash": address_hash(email),
        "topics": "all",
        "wording_version": "made up",
        "form": "made up",
        "is_double_opt_in": True,
        "confirm_token": f"token of {lead_id}",
        "landing_file": "made up",
    }
    return known | dict.fromkeys(("consented_at", "received_at", "loaded_at"), at)


def request_row(lead_id: str, email: str, at: datetime) -> dict[str, Any]:
    """A row of `preferences`: what such a form asks for, and does not grant yet."""
    known = {
        "choice_id": f"{lead_id} {at.isoformat()}",
        "event_key": f"{lead_id} {at.isoformat()}",
        "address_hash": address_hash(email),
        "address_channel": "email",
        "channel": "email",
        "topic": "all",
        "choice": "requested",
        "wording_version": "made up",
        "source": "form",
        "evidence": "made up",
        "landing_file": "made up",
    }
    return known | dict.fromkeys(("occurred_at", "recorded_at"), at)


def consent_row(lead_id: str, channel: Channel | str, address: str, **words: Any) -> dict[str, Any]:
    """A row of `consents`: granted for everything, long ago, unless told otherwise."""
    return {
        "consent_id": f"{lead_id} {channel} {sorted(words.items())}",
        "address_hash": address_hash(address),
        "lead_id": lead_id,
        "channel": str(channel),
        "topic": "all",
        "action": "granted",
        "source": "made up",
        "occurred_at": CONSENTED_AT,
        "expires_at": None,
        "recorded_at": CONSENTED_AT,
    } | words


def _create(table: str, columns: Mapping[str, str]) -> str:
    return f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"


def _read_seed(name: str) -> list[dict[str, Any]]:
    path = project_root() / "dbt_project" / "seeds" / f"{name}.csv"
    with path.open(newline="") as file:
        return [{column: value or None for column, value in row.items()} for row in csv.DictReader(file)]
