"""What a million leads cost, scored and written to: `python tests/bench/bench_score.py`; exit 1 above a bar.

A benchmark and not a test: a busy machine must not fail a change. A log is made up in a temporary folder, the real dbt
project is built over it as the daily DAG does, then a day is added and built again, then the same with twice the
history. Beside it, over the same table in the same run: the plain SQL of the rule "no login in 90 days, no e-mail click
in 120 days, zero key actions", which is what the score replaces. Then one tick of the reference campaign over the same
warehouse, with a million past entries and five thousand due, and with two million.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from rekindle.backtest.models import dbt_environment, last_words
from rekindle.campaigns.loader import load_campaign
from rekindle.clock import clock_from_environment
from rekindle.journey import advance_journeys
from rekindle.planning.rehearsal import check_and_plan, enter_and_advance
from rekindle.run import Run
from rekindle.warehouse.duckdb import DuckDbTransaction, DuckDbWarehouse
from rekindle.warehouse.migrate import migrate

ROOT = Path(__file__).parents[2]
LEADS = 1_000_000
EVENTS_A_DAY = 500_000
DAYS = 100
BAR_FULL = 60.0  # seconds
BAR_DAY = 15.0  # seconds
BAR_RATIO = 1.2  # of a day with twice the history to a day, and of a tick with twice the past to a tick
BAR_TICK = 3.0  # seconds with the warehouse open
PAST = 1_000_000
DUE = 5_000
WEEK = 6  # as many more are on their way
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
    null, false, 'log', number, timestamp '{loaded}'
from range({events}) as numbers(number)
"""

MAKE_LEADS = """
insert into rekindle_raw.users by name
select
    'lead-' || cast(number as varchar) as user_id, 'person' || cast(number as varchar) || '@mail.example' as email,
    '+1555' || lpad(cast(number as varchar), 7, '0') as phone, 'Ann' as first_name, 'America/New_York' as time_zone,
    'US' as country, 'en-US' as locale, 'pro' as plan, timestamp '2025-01-01' as signed_up_at,
    timestamp '2025-01-01' as email_consented_at, false as is_made_up, 'leads' as source_file, number as source_row,
    timestamp '2025-01-01' as loaded_at
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


#: Past entries are of two years: one in ten was held out, one in five came back, the others were archived. The due ones
#: stand at their first message, or their three days to answer it are over this hour. The waiting ones are those of the
#: week before, a day to six from their next step.
MAKE_ENTRIES = """
create or replace temporary table made as
with numbered as (
    select
        number,
        cast(cast(md5('{kind}' || cast(number as varchar)) as uuid) as varchar) as entry_id,
        case
            when '{kind}' = 'past' then 'past-' || cast(number as varchar)
            else 'lead-' || cast({leads} - 1 - number as varchar)
        end as lead_id,
        case when '{kind}' = 'past' and hash(number) % 10 = 0 then 'holdout' else 'treatment' end as arm,
        case
            when '{kind}' = 'due' and number % 2 = 0 then 'probe'
            when '{kind}' = 'due' then 'listen_after_probe'
            when '{kind}' = 'waiting' then 'listen_after_nudge'
            when hash(number * 5) % 5 = 0 then 'exited'
            else 'archive'
        end as stage
    from range({first}, {first} + {count}) as numbers(number)
),

entered as (
    select
        *,
        'person' || substr(lead_id, 6) || '@mail.example' as email,
        '+1555' || lpad(substr(lead_id, 6), 7, '0') as phone,
        case stage
            when 'probe' then timestamp '{as_of}' - interval 1 hour
            when 'listen_after_probe' then timestamp '{as_of}' - interval 73 hour
            when 'listen_after_nudge'
                then timestamp '{as_of}' - interval 4 day - to_hours(cast(hash(number) % 140 as int))
            else timestamp '{as_of}' - interval 20 day - to_hours(cast(hash(number) % 17000 as int))
        end as entered_at
    from numbered
)

select
    *,
    sha256(email) as email_hash,
    sha256(phone) as phone_hash,
    case when stage = 'exited' then 're_engaged' when stage = 'archive' then 'archived' end as exit_reason,
    case stage when 'probe' then 1 when 'listen_after_probe' then 2 when 'listen_after_nudge' then 4
        when 'exited' then 3 else 5 end as last_sequence
from entered;

insert into rekindle_state.journey_entries by name
select
    entry_id, lead_id, lead_id as person_id, email_hash, phone_hash, '{campaign}' as campaign_id,
    '{version}' as journey_version, arm, cast(entered_at as date) as cohort_date, entered_at,
    80.0 as cold_score, '{{}}' as score_contributions, 'low_engagement' as segment, 'bench' as run_id
from made;

insert into rekindle_state.journey_transitions by name
select
    entry_id, '{campaign}' as campaign_id, step as sequence,
    [null, 'probe', 'listen_after_probe', 'nudge', 'listen_after_nudge'][step] as from_stage,
    case
        when step = last_sequence then stage
        else ['probe', 'listen_after_probe', 'nudge', 'listen_after_nudge'][step]
    end as to_stage,
    case step when 1 then 'entered' when 3 then 'wait_over' else 'message_accepted' end as reason,
    entered_at + to_hours(72 * (step // 2)) as due_at,
    case when step = last_sequence then exit_reason end as exit_reason,
    entered_at + to_hours(72 * ((step - 1) // 2)) as happened_at,
    entered_at + to_hours(72 * ((step - 1) // 2)) as recorded_at,
    'bench' as run_id
from made, range(1, 6) as steps(step)
where step <= last_sequence
order by happened_at;

insert into rekindle_state.journey_state by name
select
    entry_id, lead_id, lead_id as person_id, '{campaign}' as campaign_id, '{version}' as journey_version, arm, stage,
    entered_at as stage_entered_at, last_sequence, entered_at as updated_at, exit_reason,
    case when exit_reason is not null then entered_at + interval 10 day end as exited_at,
    case stage
        when 'probe' then entered_at
        when 'listen_after_probe' then entered_at + interval 72 hour
        when 'listen_after_nudge' then timestamp '{as_of}' + to_hours(cast(24 + hash(number) % 140 as int))
    end as due_at
from made;

insert into rekindle_state.messages by name
select
    cast(cast(md5('message' || channel || entry_id) as uuid) as varchar) as message_id, entry_id,
    '{campaign}' as campaign_id, lead_id, arm, step_id, channel, 'first' as attempt_class,
    case channel when 'email' then email_hash else phone_hash end as address_hash,
    case arm when 'holdout' then 'withheld' else 'delivered' end as status, 8 as status_rank,
    'batch-' || cast(number // 1000 as varchar) as batch_id,
    case when arm = 'treatment' then entered_at end as accepted_at, entered_at as settled_at,
    case channel when 'email' then 'sendgrid' else 'twilio' end as provider,
    'template' as template_hash, '["America/New_York"]' as time_zones, entered_at as window_opens_at,
    entered_at as planned_at, entered_at + interval 1 day as expires_at, 'bench' as run_id,
    '{version}' as journey_version
from made, (values ('email', 'probe'), ('sms', 'nudge')) as kinds(channel, step_id)
where (channel = 'email' and last_sequence > 1) or (channel = 'sms' and last_sequence > 3 and hash(number) % 3 = 0)
order by planned_at;

insert into rekindle_state.message_events by name
select
    message_id || '-' || event_type as event_key, messages.message_id, messages.provider, event_type,
    event_type as provider_event, accepted_at + interval 1 minute as occurred_at,
    accepted_at + interval 1 minute as received_at, 'bench' as landing_file, accepted_at as recorded_at
from rekindle_state.messages as messages
inner join made on messages.entry_id = made.entry_id, (values ('accepted'), ('delivered')) as kinds(event_type)
where messages.accepted_at is not null;

insert into rekindle_state.decisions by name
select
    entry_id, '{campaign}' as campaign_id, lead_id, 'nudge' as step_id, 'sms' as channel, 'consent_missing' as reason,
    entered_at + interval 72 hour as decided_at, 'bench' as run_id
from made
where last_sequence > 3 and hash(number) % 3 > 0
order by decided_at;

insert into rekindle_state.consents by name
select
    entry_id || channel as consent_id, case channel when 'email' then email_hash else phone_hash end as address_hash,
    lead_id, channel, 'all' as topic, 'granted' as action, 'bench' as source,
    timestamp '2025-01-01' as occurred_at, timestamp '2025-01-01' as recorded_at
from made, (values ('email'), ('sms')) as kinds(channel);

insert into rekindle_state.contact_checks by name
select
    case channel when 'email' then email_hash else phone_hash end as address_hash, channel,
    true as is_usable, 'usable' as reason, timestamp '{as_of}' as checked_at
from made, (values ('email'), ('sms')) as kinds(channel)
where '{kind}' <> 'past';
"""


@dataclass(frozen=True)
class Took:
    """Seconds of one build, the processor's seconds in it, and the seconds of the plain rule over the same table."""

    build: float
    processor: float
    classic: float

    def __str__(self) -> str:
        return f"{self.build:.1f} ({self.processor:.1f})"


@dataclass(frozen=True)
class Tick:
    """Seconds of a tick with the warehouse open, the processor's seconds in it, and the messages it planned."""

    seconds: float
    processor: float
    planned: int

    def __str__(self) -> str:
        return f"{self.seconds:.2f} ({self.processor:.1f})"


class WatchedWarehouse(DuckDbWarehouse):
    """Knows how long it was open."""

    seconds = 0.0

    @contextmanager
    def transaction(self) -> Iterator[DuckDbTransaction]:
        started = time.perf_counter()
        try:
            with super().transaction() as transaction:
                yield transaction
        finally:
            self.seconds += time.perf_counter() - started


def reference_campaign() -> Any:
    """The campaign a new installation starts with."""
    include = ROOT / "include"
    return load_campaign(include / "campaigns" / "cold_lead_reengagement.yaml", include / "templates")


def _spelled(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


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

    def add_day(self, day: datetime, loaded: datetime | None = None) -> None:
        """The events of one UTC day, loaded when it was over if nothing else is said."""
        instant = loaded or day + timedelta(days=1)
        self._execute(
            MAKE_EVENTS.format(
                first_id=self.events,
                leads=self.leads,
                events=self.a_day,
                day=f"{day:%Y-%m-%d}",
                loaded=_spelled(instant),
            )
        )
        self.events += self.a_day

    def measure(self, as_of: datetime) -> Took:
        """Build as the DAG does, and run the plain rule."""
        started, before = time.perf_counter(), _processor()
        self._dbt(as_of, "build", "--select", "tag:daily_score", "--exclude", "test_type:unit")
        built, processor = time.perf_counter() - started, _processor() - before
        started = time.perf_counter()
        self._execute(CLASSIC_RULE.format(as_of=_spelled(as_of)))
        return Took(built, processor, time.perf_counter() - started)

    def add_entries(self, kind: str, first: int, count: int, as_of: datetime) -> None:
        """Entries of the reference campaign with all that came of them: `past`, `waiting`, or `due` at `as_of`."""
        campaign = reference_campaign()
        self._execute(
            MAKE_ENTRIES.format(
                kind=kind,
                first=first,
                count=count,
                leads=self.leads,
                as_of=_spelled(as_of),
                campaign=campaign.campaign_id,
                version=campaign.journey_version,
            )
        )

    def tick(self, as_of: datetime) -> Tick:
        """One run of the campaign up to its messages' batches, and the moves after sending, as its DAG does it."""
        warehouse, campaign = WatchedWarehouse(self.file), reference_campaign()
        run = Run(as_of=as_of, run_id=f"tick {as_of.isoformat()}", recorded_at=as_of)
        before = time.process_time()
        enter_and_advance(warehouse, campaign, [], run)
        check_and_plan(warehouse, campaign, run, "US")
        advance_journeys(warehouse, campaign, run)
        processor, seconds = time.process_time() - before, warehouse.seconds
        with DuckDbWarehouse(self.file).transaction() as transaction:
            (found,) = transaction.query(
                "select count(*) as planned from rekindle_state.messages where run_id = $run_id", run_id=run.run_id
            )
        return Tick(seconds, processor, int(found["planned"]))

    def _execute(self, statement: str) -> None:
        with duckdb.connect(str(self.file), config={"memory_limit": MEMORY, "threads": 2}) as connection:
            connection.execute(statement)

    def _dbt(self, as_of: datetime, *arguments: str) -> None:
        finished = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), *arguments, "--quiet"],
            env={
                **dbt_environment(self.project, self.folder / "target", self.file),
                "REKINDLE_AS_OF": as_of.isoformat(),
                "REKINDLE_DUCKDB_MEMORY_LIMIT": MEMORY,
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        if finished.returncode:
            raise SystemExit(f"dbt {' '.join(arguments)} failed:\n{last_words(finished)}")


def _processor() -> float:
    """Seconds that finished child processes spent on any core: what a busy machine does not lengthen."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(folder: Path, share: float, console: Console, only_tick: bool) -> bool:
    """Measure and print; whether every bar is kept. `only_tick`: after the full build, nothing but the tick."""
    midnight = AS_OF.replace(hour=0)
    first = midnight - timedelta(days=DAYS)
    began = time.perf_counter()

    def tell(what: str) -> None:
        console.print(f"{time.perf_counter() - began:4.0f} s  {what}")

    bench = Bench(folder, int(LEADS * share), int(EVENTS_A_DAY * share))
    table = Table("what", "seconds (of processor)", "bar", "classic rule, plain SQL", title=f"{bench.leads:,} leads")
    tell(f"making up {DAYS} days of {bench.a_day:,} events")
    for number in range(DAYS):
        bench.add_day(first + timedelta(days=number))
    tell("the full build")
    full = bench.measure(AS_OF)
    table.add_row(f"full build, {bench.events:,} events", str(full), f"{BAR_FULL:g}", f"{full.classic:.1f}")
    tell(str(full))
    days_kept = only_tick or _days(bench, table, tell)
    ticks_kept = _ticks(bench, share, AS_OF if only_tick else AS_OF + timedelta(days=3), table, tell)
    console.print(table)
    return full.build < BAR_FULL and days_kept and ticks_kept


def _days(bench: Bench, table: Table, tell: Callable[[str], None]) -> bool:
    """A day more, and a day more with twice the history; whether the bars are kept."""
    midnight = AS_OF.replace(hour=0)
    first = midnight - timedelta(days=DAYS)
    bench.add_day(midnight)
    tell("a day more")
    day = bench.measure(AS_OF + timedelta(days=1))
    table.add_row(f"a day of {bench.a_day:,} more", str(day), f"{BAR_DAY:g}", f"{day.classic:.1f}")
    tell(f"{day}; making up an older half of the history, and catching up with it")
    late = midnight + timedelta(days=1, hours=12)
    for number in range(DAYS):
        bench.add_day(first - timedelta(days=DAYS - number), loaded=late)
    bench.add_day(midnight + timedelta(days=1))
    bench.measure(AS_OF + timedelta(days=2))
    bench.add_day(midnight + timedelta(days=2))
    tell("a day more with twice the history")
    twice = bench.measure(AS_OF + timedelta(days=3))
    ratio, of_processor = twice.build / day.build, twice.processor / day.processor
    table.add_row(
        f"the same with {bench.events:,} events",
        f"{twice}: {ratio:.2f} × ({of_processor:.2f} ×)",
        f"{BAR_RATIO:g} ×",
        f"{twice.classic:.1f}",
    )
    tell(str(twice))
    return day.build < BAR_DAY and ratio <= BAR_RATIO


def _ticks(bench: Bench, share: float, now: datetime, table: Table, tell: Callable[[str], None]) -> bool:
    """A tick, and a tick with twice the past; whether the bars are kept."""
    past, due = int(PAST * share), int(DUE * share)
    tell(f"making up {past:,} past entries")
    bench.add_entries("past", 0, past, now)
    bench.add_entries("due", 0, due, now)
    bench.add_entries("waiting", 2 * due, WEEK * due, now)
    tick = bench.tick(now)
    what = f"a tick, {past:,} past entries, {WEEK * due:,} waiting, {due:,} due, {tick.planned:,} planned"
    table.add_row(what, str(tick), f"{BAR_TICK:g}", "")
    tell(f"{tick}; making up as many again")
    later = now + timedelta(minutes=1)
    bench.add_entries("past", past, past, later)
    bench.add_entries("due", due, due, later)
    tick_twice = bench.tick(later)
    tick_ratio = tick_twice.seconds / tick.seconds
    table.add_row(
        f"the same with {2 * past:,}, {tick_twice.planned:,} planned",
        f"{tick_twice}: {tick_ratio:.2f} × ({tick_twice.processor / tick.processor:.2f} ×)",
        f"{BAR_RATIO:g} ×",
        "",
    )
    tell(f"{tick_twice}; done")
    return tick.seconds < BAR_TICK and tick_ratio <= BAR_RATIO


def main() -> None:
    """Run at full scale, or at a share of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of a million leads and 50 million events")
    parser.add_argument("--only-tick", action="store_true", help="measure the tick only, after the full build")
    parser.add_argument("--folder", type=Path, help="where to work; kept afterwards")
    options = parser.parse_args()
    console = Console()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="rekindle-bench-score-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        kept = run(folder, options.share, console, options.only_tick)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)
    if not kept:
        console.print("a bar is not kept")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
