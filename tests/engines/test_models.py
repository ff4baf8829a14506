"""The models on the three engines, through the real dbt adapters: the same rows in every one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rekindle.backtest.models import dbt_environment

PROJECT = Path(__file__).parents[2] / "dbt_project"
AS_OF = datetime(2026, 3, 1, 18, tzinfo=UTC)
PLAIN = {"BOOLEAN": False, "BIGINT": 0, "DOUBLE": 0.0, "VARCHAR": "-", "TIMESTAMP": AS_OF, "DATE": AS_OF.date()}

#: Made of an engine's own text.
OWN = frozenset({"kinds_digest"})

#: One process for both days: starting dbt costs more than building this project.
RUNNER = """
import json, os, sys
from dbt.cli.main import dbtRunner

for as_of, arguments in json.load(sys.stdin):
    os.environ["REKINDLE_AS_OF"] = as_of
    outcome = dbtRunner().invoke([*arguments, "--quiet"])
    told = [(each.node.name, each.message) for each in getattr(outcome.result, "results", None) or []
            if str(each.status) in ("error", "fail")]
    assert outcome.exception is None and not told, (outcome.exception, told)
"""


def ago(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def happened() -> dict[str, list[dict[str, object]]]:
    """A small company: who is here, who went, who was written to."""
    events = [
        ("ann", "purchase", 61), ("ann", "login", 85), ("bob", "login", 2), ("bob", "checkout_started", 0.5),
        ("cat", "purchase", 84.5), ("dan", "project_created", 84.9), ("dan", "login", 84.2),
        ("hal", "purchase", 85.5), ("ann", "login", 30), ("eve", "pricing_viewed", 1.5),
        ("fay", "subscription_cancelled", 1.2), ("fay", "payment_failed", 2), ("bob", "Product Viewed", 3),
        ("cat", "login", -0.5), ("gus", "page_viewed", 20), ("gus", "page_viewed", 15.5),
    ]  # fmt: skip
    users = {
        "ann": {"email": "Ann@Example.com", "phone": "+15550100001", "signed_up_at": ago(400)},
        "bob": {"email": "bob@example.com", "signed_up_at": ago(3.5), "plan": "free", "locale": "en-US"},
        "cat": {"email": "shared@example.com", "properties": '{"birthday": "1990-02-28", "state": "NY"}'},
        "dan": {"email": "shared@example.com", "phone": "+15550100002", "plan": "pro"},
        "eve": {"signed_up_at": ago(1), "properties": '{"renewal_on": "2026-03-14"}'},
        "gus": {"email": "gus@example.com", "email_consented_at": ago(100)},
    }
    entry = {"campaign_id": "back", "journey_version": "v1", "cohort_date": ago(40).date(), "entered_at": ago(40)}
    return {
        "rekindle_raw.events": [
            {
                "event_id": f"e{number // 2}" if number < 2 else f"f{number}",
                "user_id": lead,
                "event_type": name,
                "occurred_at": ago(days),
                "loaded_at": ago(days),
                "properties": '{"name": "blue \\"shoes\\""}' if name == "Product Viewed" else None,
                "source_file": "app_events/a" if name == "pricing_viewed" else "log",
            }
            for number, (lead, name, days) in enumerate([events[0], *events])
        ],
        "rekindle_raw.users": [{"user_id": lead, **columns} for lead, columns in users.items()],
        "rekindle_raw.support_tickets": [
            {"ticket_id": "t1", "user_id": "dan", "opened_at": ago(90), "category": "export"},
            {"ticket_id": "t2", "user_id": "ann", "opened_at": ago(99), "closed_at": ago(98), "satisfaction": 5},
        ],
        "rekindle_raw.product_feedback": [
            {"feedback_id": "p1", "user_id": "dan", "survey": "exit", "feature_asked_for": "dark", "given_at": ago(9)}
        ],
        "rekindle_raw.webhook_elements": [
            {"stream": "twilio_inbound", "event_key": "k1", "received_at": ago(1),
             "payload": '{"From": "+15550100001", "Body": "join, please"}'},
            {"stream": "app_events", "event_key": "k2", "received_at": ago(1),
             "payload": '{"type": "group", "userId": "bob", "groupId": "vip"}'},
            {"stream": "link_clicks", "event_key": "k3", "received_at": ago(39),
             "payload": '{"method": "GET", "remote": "198.51.100.7", "headers": {"user-agent": "Mozilla/5.0"}}'},
        ],
        "rekindle_raw.opt_ins": [
            {"opt_in_id": "o1", "channel": "sms", "address": "+15550100009", "address_hash": "h9", "form": "page",
             "topics": "news", "consented_at": ago(3), "received_at": ago(2.5), "country": "US"},
        ],
        "rekindle_state.consents": [
            {"consent_id": "c1", "lead_id": "bob", "channel": "email", "topic": "news", "action": "granted",
             "source": "form", "occurred_at": ago(1)},
        ],
        "rekindle_state.journey_entries": [
            {**entry, "entry_id": "n1", "lead_id": "ann", "person_id": "ann", "arm": "treatment", "cold_score": 66.5},
            {**entry, "entry_id": "n2", "lead_id": "cat", "person_id": "cat", "arm": "holdout", "cold_score": 70.0},
        ],
        "rekindle_state.journey_transitions": [
            {"entry_id": f"n{number}", "campaign_id": "back", "sequence": sequence, "to_stage": stage,
             "exit_reason": exit_reason, "happened_at": ago(days)}
            for number in (1, 2)
            for sequence, stage, exit_reason, days in ((1, "probe", None, 40), (2, "end", "archived", 20))
        ],
        "rekindle_state.journey_state": [
            {"entry_id": f"n{number}", "campaign_id": "back", "lead_id": lead, "person_id": lead, "arm": arm,
             "stage": "end", "exit_reason": "archived", "exited_at": ago(20), "stage_entered_at": ago(20),
             "last_sequence": 2}
            for number, lead, arm in ((1, "ann", "treatment"), (2, "cat", "holdout"))
        ],
        "rekindle_state.messages": [
            {"message_id": "m1", "entry_id": "n1", "campaign_id": "back", "lead_id": "ann", "arm": "treatment",
             "step_id": "probe", "channel": "email", "status": "delivered", "accepted_at": ago(39.5),
             "planned_at": ago(40), "cost": 0.25, "segments": 1},
        ],
        "rekindle_state.message_events": [
            {"event_key": "k1", "event_type": "replied", "provider": "twilio", "occurred_at": ago(1)},
            {"event_key": "k3", "event_type": "clicked", "provider": "rekindle", "message_id": "m1", "is_human": True,
             "occurred_at": ago(39)},
        ],
        "rekindle_state.suppressions": [
            {"address_hash": "h1", "channel": "email", "topic": "all", "reason": "unsubscribed",
             "suppressed_at": ago(5)},
        ],
    }  # fmt: skip


@pytest.fixture(scope="session")
def columns_of(duckdb_warehouse):
    """Table → column, kind and whether it may be null, as the migrations made it."""
    with duckdb_warehouse.transaction() as transaction:
        rows = transaction.query(
            "select table_schema || '.' || table_name as name, column_name, data_type, is_nullable "
            "from information_schema.columns order by ordinal_position"
        )
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append((row["column_name"], row["data_type"], row["is_nullable"] == "YES"))
    return found


@pytest.fixture(scope="session")
def build_on(columns_of, tmp_path_factory):
    """Fills a migrated warehouse and builds two days over it; returns the rows of every model."""

    def plain(value):
        if isinstance(value, datetime):
            return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat()
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, str) and value.startswith("{"):
            return {key: round(each, 2) if isinstance(each, float) else each for key, each in json.loads(value).items()}
        return (
            round(float(value), 6)
            if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
            else value
        )

    def on(warehouse, environment: dict[str, str]) -> dict[str, list[dict[str, object]]]:
        filled = happened()
        warehouse.run_script("".join(f"delete from {table} where true;\n" for table in filled))
        with warehouse.transaction() as transaction:
            for table, rows in filled.items():
                transaction.insert(
                    table,
                    [
                        {
                            name: row.get(name, None if nullable else PLAIN[kind])
                            for name, kind, nullable in columns_of[table]
                        }
                        for row in rows
                    ],
                )
        target = tmp_path_factory.mktemp("target")
        days = [
            (AS_OF, ["build", "--exclude-resource-type", "unit_test", "test"]),
            (AS_OF + timedelta(days=1), ["run", "--select", "tag:daily_score", "tag:measure"]),
        ]
        finished = subprocess.run(
            [sys.executable, "-c", RUNNER],
            input=json.dumps([(as_of.isoformat(), arguments) for as_of, arguments in days]),
            env={
                **dbt_environment(PROJECT, target, target / "no.duckdb"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert finished.returncode == 0, finished.stderr[-4000:]
        manifest = json.loads((target / "manifest.json").read_text())
        told = sorted(
            f"{node['schema']}.{node['name']}"
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
        )
        with warehouse.transaction() as transaction:
            return {
                table: sorted(
                    (
                        {name.lower(): plain(value) for name, value in row.items() if name.lower() not in OWN}
                        for row in transaction.query(f"select * from {table}")
                    ),
                    key=lambda row: [(value is None, str(value)) for value in row.values()],
                )
                for table in told
            }

    return on


@pytest.fixture(scope="session")
def reference(once, build_on, empty_reference):
    """What DuckDB makes of it."""
    warehouse, path = empty_reference
    environment = {"REKINDLE_WAREHOUSE_PATH": str(path), "REKINDLE_DBT_TARGET": "duckdb"}
    return once("models", lambda: build_on(warehouse, environment))


@pytest.fixture(scope="session")
def empty_reference(tmp_path_factory, clock_of_models):
    """A DuckDB file with the migrations applied and nothing else."""
    from rekindle.warehouse.duckdb import DuckDbWarehouse
    from rekindle.warehouse.migrate import migrate

    path = tmp_path_factory.mktemp("models") / "warehouse.duckdb"
    warehouse = DuckDbWarehouse(path)
    migrate(warehouse, clock_of_models)
    return warehouse, path


@pytest.fixture(scope="session")
def clock_of_models(tmp_path_factory):
    from rekindle.clock import SteppedClock

    clock = SteppedClock(tmp_path_factory.mktemp("clock_of_models") / "clock")
    clock.step_to(AS_OF)
    return clock


@pytest.fixture(params=["bigquery", "snowflake"])
def own_server(request, emulators, clock_of_models):
    """A server of our own: the other tests fill theirs with stand-ins for what dbt makes here."""
    from rekindle.warehouse import WarehouseSettings, open_warehouse
    from rekindle.warehouse.migrate import migrate
    from rekindle.warehouse.settings import Engine

    engine = request.param
    serve = emulators.bigquery_server if engine == "bigquery" else emulators.snowflake_server
    try:
        with serve() as server, pytest.MonkeyPatch.context() as patch:
            if engine == "snowflake":
                emulators.create_database(server)
            for name, value in server.environment.items():
                patch.setenv(name, value)
            warehouse = open_warehouse(WarehouseSettings(engine=Engine(engine)))
            migrate(warehouse, clock_of_models)
            yield warehouse, {**server.environment, "REKINDLE_DBT_TARGET": engine}
    except emulators.NotAvailableError as error:
        emulators.give_up(error)


def test_the_reference_has_every_model_and_rows_in_it(reference):
    assert sorted(name.split(".")[1] for name in reference) == sorted(
        path.stem for path in (PROJECT / "models").rglob("*.sql")
    )
    empty = {name.split(".")[1] for name, rows in reference.items() if not rows}
    # nobody is entered for a holiday in March
    assert empty == {"sync_holiday_audience"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_model_has_the_rows_it_has_on_duckdb(own_server, reference, build_on):
    built = build_on(*own_server)
    assert built.keys() == reference.keys()
    for table, rows in reference.items():
        assert built[table] == rows, table
