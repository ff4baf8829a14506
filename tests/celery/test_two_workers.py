"""Two Celery workers send one campaign run: by the sandbox's own record the rate stays global and nothing repeats."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rekindle.campaigns.loader import load_campaigns
from rekindle.clock import SystemClock
from rekindle.demo.sandbox_api import cross_check
from rekindle.governor.rate import ProviderRate
from rekindle.governor.settings import GovernorSettings
from rekindle.invariants import check_invariants
from rekindle.sandbox.twilio import count_segments
from rekindle.warehouse.duckdb import DuckDbWarehouse

pytestmark = [
    pytest.mark.celery,
    pytest.mark.timeout(400),
    # the processes of a stack outlive whoever started them, by design; `stop_stack` ends them
    pytest.mark.filterwarnings(r"ignore:subprocess \d+ is still running:ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
#: So many leads can be reached by e-mail only, so many by text only: texts are what both workers send at the same time.
EMAILS, TEXTS = 20, 80


def units_by_arrival(record: Path, kind: str, since: float) -> list[float]:
    """When each unit of a kind arrived, oldest first: a recipient of a mail request, a segment of a text."""
    lines = [line for text in record.read_text().splitlines() if (line := json.loads(text))["kind"] == kind]
    return sorted(line["received_at"] for line in lines if line["received_at"] >= since for _ in range(units_of(line)))


def units_of(line: dict[str, Any]) -> int:
    return int(line["recipients"]) if line["kind"] == "mail" else count_segments(dict(line["form"])["Body"])


def busiest(arrivals: Sequence[float], seconds: float) -> int:
    """The most units that arrived within so many seconds."""
    return max(bisect_left(arrivals, began + seconds) - index for index, began in enumerate(arrivals))


@pytest.fixture
def governor_store(request: pytest.FixtureRequest) -> str:
    """The address of the store that both workers share."""
    if request.param == "redis":
        return f"{request.getfixturevalue('redis_url')}/1"
    return str(request.getfixturevalue("postgres_url")).removesuffix("airflow") + "governor"


@pytest.mark.parametrize(("governor_store", "day"), [("redis", 0), ("postgresql", 1)], indirect=["governor_store"])
def test_two_workers_send_one_run(
    celery_stack: Any, world_module: ModuleType, tmp_path: Path, governor_store: str, day: int
) -> None:
    stack = celery_stack.stack
    warehouse = DuckDbWarehouse(stack.warehouse_path)
    as_of: datetime = world_module.START + timedelta(days=day)

    # Given people who have just gone cold, some without a telephone and some without e-mail, and two workers
    world = world_module.World(tmp_path / "world", stack.warehouse_path)
    world.let_go()
    world.warehouse = warehouse
    numbers = range(day * 1_000, day * 1_000 + EMAILS + TEXTS)
    people = [
        {"lead_id": f"lead-{number}"}
        | (
            {"email": f"person{number}@mail.example", "phone": None}
            if index < EMAILS
            else {"email": None, "phone": f"+1415555{number:04d}"}
        )
        for index, number in enumerate(numbers)
    ]
    world.leads(people, on=day)
    stack.clock.step_to(as_of)
    celery_stack.start_workers(governor_store)

    # When the campaign runs once
    since = SystemClock().now().timestamp()
    tasks = celery_stack.run_campaign(as_of)

    # Then both workers sent texts, and at the same time
    texting = [task for task in tasks if task["task_id"] == "send_texts"]
    spans = {
        name: [(task["start_date"], task["end_date"]) for task in texting if task["hostname"] == name]
        for name in celery_stack.workers
    }
    first, second = spans.values()
    assert len(first) + len(second) == len(texting) >= 3
    assert any(
        begins < other_ends and other_begins < ends for begins, ends in first for other_begins, other_ends in second
    )

    # and the rate was one for both, by the record of who received it
    limits = GovernorSettings(sendgrid_rate=celery_stack.rates["sendgrid"], twilio_rate=celery_stack.rates["twilio"])
    for kind, account in (("mail", "sendgrid"), ("text", "twilio")):
        arrivals = units_by_arrival(stack.home / "sandbox_messages.jsonl", kind, since)
        rate: ProviderRate = limits.rate(account)
        # a worker that the machine does not schedule holds one message or block in its hand (docs/governor.md)
        in_hand = len(celery_stack.workers) * max(rate.block, 2) if kind == "text" else 0
        for seconds in (1, 3):
            most = busiest(arrivals, seconds)
            assert most <= seconds * rate.units + rate.burst + in_hand, f"{most} units of {account} in {seconds} s"
    assert not [route for route, statuses in celery_stack.answers().items() if "429" in statuses]

    # and nothing repeats, nothing was left, and the ledger says what the providers say
    accepted = celery_stack.sandbox.accepted_messages()
    checks = cross_check(accepted, warehouse)
    assert {check.claim: check.violations for check in checks if check.violations} == {}
    with warehouse.transaction() as transaction:
        statuses = Counter(row["status"] for row in transaction.query("select status from rekindle_state.messages"))
    assert set(statuses) == {"accepted", "withheld"}
    assert statuses["accepted"] == len(accepted) > 0.8 * (day + 1) * (EMAILS + TEXTS)
    campaigns = load_campaigns(ROOT / "include" / "campaigns", ROOT / "include" / "templates")
    assert [verdict.name for verdict in check_invariants(warehouse, campaigns) if not verdict.holds] == []
