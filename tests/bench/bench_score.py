"""What scoring a million leads costs: `python tests/bench/bench_score.py`; exit 1 above a bar.

A benchmark and not a test: a busy machine must not fail a change. A log is made up in a temporary folder, the real dbt
project is built over it as the daily DAG does, then a day is added and built again, then the same with twice the
history. Beside it, over the same table in the same run: the plain SQL of the rule "no login in 90 days, no e-mail click
in 120 days, zero key actions", which is what the score replaces.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from rekindle.clock import clock_from_environment
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.migrate import migrate

ROOT = Path(__file__).parents[2]
LEADS = 1_000_000
EVENTS_A_DAY = 500_000
DAYS = 100
BAR_FULL = 60.0  # seconds
BAR_DAY = 15.0  # seconds
BAR_RATIO = 1.2  # of a day with twice the history to a day
MEMORY = "8GB"
AS_OF = datetime(2026, 6, 1, 18, tzinfo=UTC)

#: Some leads are there every day and most are not: the square of a uniform draw. Events are loaded the day they happen.
MAKE_EVENTS = """
insert into rekindle_raw.events
select
    'e' || cast({first_id} + number as varchar),
    'lead-' || cast(
        cast(floor({leads} * pow(hash(number + {first_id}) / 18446744073709551616.0, 2)) as bigint) as varchar
    ),
    case cast(hash(number * 7 + {first_id}) % 20 as integer)
        when 0 then 'purchase' when 1 then 'project_created' when 2 then 'project_created' when 3 then 'email_clicked'
        when 4 then 'login' when 5 then 'login' when 6 then 'login' when 7 then 'login' when 8 then 'invoice_paid'
        else 'page_viewed'
    end,
    timestamp '{day}' + to_microseconds(cast(number * 86400000000 / {events} as bigint)),
    null, false, 'log', number, timestamp '{day}' + interval 1 day
from range({events}) as numbers(number)
"""

MAKE_LEADS = """
insert into rekindle_raw.users
select
    'lead-' || cast(number as varchar), 'person' || cast(number as varchar) || '@mail.example',
    '+1555' || lpad(cast(number as varchar), 7, '0'), 'Ann', 'America/New_York', 'US', 'en-US', 'pro',
    timestamp '2025-01-01', timestamp '2025-01-01', null, null, false, 'leads', number, timestamp '2025-01-01'
from range({leads}) as numbers(number)
"""

CLASSIC_RULE = """
create or replace table main.classic_rule as
select user_id
from rekindle_raw.events
where occurred_at < timestamp '{as_of}'
group by user_id
having
    coalesce(max(case when event_type = 'login' then occurred_at end), timestamp '1970-01-01')
    < timestamp '{as_of}' - interval 90 day
    and coalesce(max(case when event_type = 'email_clicked' then occurred_at end), timestamp '1970-01-01')
    < timestamp '{as_of}' - interval 120 day
    and count(case when event_type in ('purchase', 'project_created') then 1 end) = 0
"""


@dataclass(frozen=True)
class Took:
    """Seconds of one build, the processor's seconds in it, and the seconds of the plain rule over the same table."""

    build: float
    processor: float
    classic: float

    def __str__(self) -> str:
        return f"{self.build:.1f} ({self.processor:.1f})"


class Bench:
    """A warehouse of made-up leads in a folder of its own."""

    def __init__(self, folder: Path, leads: int, a_day: int) -> None:
        self.folder, self.leads, self.a_day = folder, leads, a_day
        self.file = folder / "warehouse.duckdb"
        self.events = 0
        # a copy: what is edited meanwhile is not what is measured
        self.project = folder / "dbt_project"
        shutil.copytree(ROOT / "dbt_project", self.project)
        migrate(DuckDbWarehouse(self.file), clock_from_environment())
        self._dbt(AS_OF, "build", "--exclude", "test_type:unit")  # what `migrate` does: rules and views
        self._execute(MAKE_LEADS.format(leads=leads))

    def add_day(self, day: datetime) -> None:
        """The events of one UTC day."""
        self._execute(
            MAKE_EVENTS.format(first_id=self.events, leads=self.leads, events=self.a_day, day=f"{day:%Y-%m-%d}")
        )
        self.events += self.a_day

    def measure(self, as_of: datetime) -> Took:
        """Build as the DAG does, and run the plain rule."""
        started, before = time.perf_counter(), _processor()
        self._dbt(as_of, "build", "--select", "tag:daily_score", "--exclude", "test_type:unit")
        built, processor = time.perf_counter() - started, _processor() - before
        started = time.perf_counter()
        self._execute(CLASSIC_RULE.format(as_of=f"{as_of:%Y-%m-%d %H:%M:%S}"))
        return Took(built, processor, time.perf_counter() - started)

    def _execute(self, statement: str) -> None:
        with duckdb.connect(str(self.file), config={"memory_limit": MEMORY, "threads": 2}) as connection:
            connection.execute(statement)

    def _dbt(self, as_of: datetime, *arguments: str) -> None:
        finished = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), *arguments, "--quiet"],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("REKINDLE_", "DBT_"))},
                "REKINDLE_WAREHOUSE_PATH": str(self.file),
                "REKINDLE_AS_OF": as_of.isoformat(),
                "REKINDLE_DUCKDB_MEMORY_LIMIT": MEMORY,
                "DBT_PROJECT_DIR": str(self.project),
                "DBT_PROFILES_DIR": str(self.project),
                "DBT_TARGET_PATH": str(self.folder / "target"),
                "DBT_LOG_PATH": str(self.folder / "target"),
                "DBT_LOG_LEVEL_FILE": "none",
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        if finished.returncode:
            raise SystemExit(f"dbt {' '.join(arguments)} failed:\n{finished.stdout[-3000:]}{finished.stderr[-1000:]}")


def _processor() -> float:
    """Seconds that finished child processes spent on any core: what a busy machine does not lengthen."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(folder: Path, share: float, console: Console) -> bool:
    """Measure and print; whether every bar is kept."""
    bench = Bench(folder, int(LEADS * share), int(EVENTS_A_DAY * share))
    first = AS_OF.replace(hour=0) - timedelta(days=DAYS)

    def history(begin: datetime) -> None:
        for number in range(DAYS):
            bench.add_day(begin + timedelta(days=number))

    table = Table("what", "seconds (of processor)", "bar", "classic rule, plain SQL", title=f"{bench.leads:,} leads")
    history(first)
    full = bench.measure(AS_OF)
    table.add_row(f"full build, {bench.events:,} events", str(full), f"{BAR_FULL:g}", f"{full.classic:.1f}")
    bench.add_day(AS_OF.replace(hour=0))
    day = bench.measure(AS_OF + timedelta(days=1))
    table.add_row(f"a day of {bench.a_day:,} more", str(day), f"{BAR_DAY:g}", f"{day.classic:.1f}")
    history(first - timedelta(days=DAYS))
    bench.measure(AS_OF + timedelta(days=1, hours=1))  # the older half comes late: its days are computed now
    bench.add_day(AS_OF.replace(hour=0) + timedelta(days=1))
    twice = bench.measure(AS_OF + timedelta(days=2))
    ratio = twice.build / day.build
    of_processor = twice.processor / day.processor
    table.add_row(
        f"the same with {bench.events:,} events",
        f"{twice}: {ratio:.2f} × ({of_processor:.2f} ×)",
        f"{BAR_RATIO:g} ×",
        f"{twice.classic:.1f}",
    )
    console.print(table)
    return full.build < BAR_FULL and day.build < BAR_DAY and ratio <= BAR_RATIO


def main() -> None:
    """Run at full scale, or at a share of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of a million leads and 50 million events")
    parser.add_argument("--folder", type=Path, help="where to work; kept afterwards")
    options = parser.parse_args()
    console = Console()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="rekindle-bench-score-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        kept = run(folder, options.share, console)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)
    if not kept:
        console.print("a bar is not kept")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
