"""How fast one send task sends, and in how much memory: `python tests/bench/bench_send.py`; exit 1 below a bar.

The whole protocol against the real thing: plan → claim → re-check → attempting → call → record, on a DuckDB file, with
the providers' own SDKs, over loopback HTTP to a `rekindle sandbox` process that throttles nothing. Every measured
worker is a fresh process. A benchmark and not a test: a busy machine must not fail a change, so the bare SDK's rate
is taken in the same minute and printed beside it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
#: A Monday, 18:00 UTC: inside the campaign's window in New York, whenever the benchmark is run.
AS_OF = datetime(2026, 1, 12, 18, tzinfo=UTC)

BAR_EMAILS = 15_000  # per second and worker, two cores shared with the sandbox
BAR_TEXTS = 500
BAR_MEMORY = 300  # MB, peak of a send task
BAR_GROWTH = 1.25  # peak on the biggest run over peak on the smallest
STEPS = {"email": "probe", "sms": "nudge"}

console = Console()


# --- the world: a planned day of any size


def world_module() -> Any:
    """`tests/sql/world.py`, which knows how to build an empty warehouse."""
    spec = importlib.util.spec_from_file_location("rekindle_bench_world", ROOT / "tests" / "sql" / "world.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ENTRIES = """
create temporary table made as
with numbered as (
    select
        $channel || '-' || range as lead_id,
        cast(cast(md5($channel || 'entry' || range) as uuid) as varchar) as entry_id,
        'person' || range || '@mail.example' as email,
        '+1415' || (2000000 + range) as phone
    from range($entries)
)

select
    *,
    sha256(email) as email_hash,
    sha256(phone) as phone_hash
from numbered;

insert into rekindle_state.journey_entries by name
select
    entry_id, lead_id, lead_id as person_id, email_hash, phone_hash, $campaign as campaign_id,
    $version as journey_version, 'treatment' as arm, cast($as_of as date) as cohort_date, $as_of as entered_at,
    80.0 as cold_score, '{}' as score_contributions, 'low_engagement' as segment, 'bench' as run_id
from made;

insert into rekindle_state.journey_state by name
select
    entry_id, lead_id, lead_id as person_id, $campaign as campaign_id, $version as journey_version,
    'treatment' as arm, $step as stage,
    $as_of as stage_entered_at, $as_of as due_at, 1 as last_sequence, $as_of as updated_at
from made;

insert into rekindle_activation.sync_lead_contacts by name
select
    lead_id, lead_id as person_id, email, phone, email_hash, phone_hash, 'Ada' as first_name, 'team' as plan,
    'America/New_York' as time_zone, 'US' as country, 'en-US' as locale, date '2025-03-14' as last_key_action_on,
    true as is_made_up
from made;

insert into rekindle_state.consents by name
select
    entry_id as consent_id, case $channel when 'email' then email_hash else phone_hash end as address_hash, lead_id,
    $channel as channel, 'all' as topic, 'granted' as action, 'bench' as source,
    timestamp '2025-01-01' as occurred_at, timestamp '2025-01-01' as recorded_at
from made;

insert into rekindle_state.contact_checks by name
select
    case $channel when 'email' then email_hash else phone_hash end as address_hash, $channel as channel,
    true as is_usable, 'usable' as reason, $as_of as checked_at
from made;

drop table made;
"""


def fill(path: Path, channel: str, entries: int) -> None:
    """That many entries due at the channel's send step, everybody reachable."""
    import duckdb

    values = {
        "channel": channel,
        "entries": entries,
        "campaign": "cold_lead_reengagement",
        "version": campaign().journey_version,
        "step": STEPS[channel],
        "as_of": AS_OF.replace(tzinfo=None),
    }
    with duckdb.connect(str(path)) as connection:
        for statement in ENTRIES.split(";"):
            if statement.strip():
                used = {name: value for name, value in values.items() if f"${name}" in statement}
                connection.execute(statement, used)


# --- a worker: a process of its own, told what to do in one JSON argument


@dataclass
class Stopwatch:
    """Wall-clock seconds during which at least one of the watched things is under way, in any thread."""

    seconds: float = 0.0
    _under_way: int = 0
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
            if self._under_way == 1:
                self._since = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if self._under_way == 0:
                    self.seconds += time.perf_counter() - self._since

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **words: Any) -> Any:
            with self.running():
                return function(*arguments, **words)

        return watched


@dataclass
class Processor:
    """CPU seconds of the threads that do the watched thing; the engine's own helper threads are not in it."""

    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.seconds += time.thread_time() - began

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **words: Any) -> Any:
            began = time.thread_time()  # a context manager would cost more than composing a tenth of a message
            try:
                return function(*arguments, **words)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - began

        return watched


class RunningClock:
    """Starts at the planned day and runs like the machine's."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> datetime:
        return AS_OF + timedelta(seconds=time.monotonic() - self._began)


def campaign() -> Any:
    from rekindle.campaigns.loader import load_campaign

    include = ROOT / "include"
    return load_campaign(include / "campaigns" / "cold_lead_reengagement.yaml", include / "templates")


def accounts(sandbox: str) -> tuple[Any, Any]:
    from rekindle.channels.credentials import SendGridAccount, TwilioAccount

    return SendGridAccount(
        api_key="SG.made-up-sandbox-key",
        base_url=sandbox,
        from_email="hello@example.com",
        from_name="Example Records",
        postal_address="1 Example Street, Springfield, IL 62701, USA",
    ), TwilioAccount(
        account_sid="AC" + "0" * 32,
        username="AC" + "0" * 32,
        secret="made-up-sandbox-token",
        base_url=sandbox,
        lookup_base_url=sandbox,
        messaging_service_sid="MG" + "1" * 32,
        status_callback_base_url="https://rekindle.example",
    )


def composer() -> Any:
    from rekindle.dispatch import Composer
    from rekindle.rendering.context import Company
    from rekindle.tokens import TokenSigner

    return Composer(
        campaign=campaign(),
        signer=TokenSigner(["token-key-of-the-benchmark"]),
        public_base_url="https://rekindle.example",
        app_url="https://app.example/",
        company=Company("Example Records", "1 Example Street, Springfield, IL 62701, USA"),
    )


def run_of_the_bench() -> Any:
    from rekindle.run import Run

    return Run(as_of=AS_OF, run_id="bench", recorded_at=AS_OF)


def plan(job: dict[str, Any]) -> dict[str, Any]:
    """`plan_messages` over everything that is due: what it costs and how many batches it answers."""
    from rekindle.planning import plan_messages
    from rekindle.vocabulary import Channel
    from rekindle.warehouse.duckdb import DuckDbWarehouse

    began = time.perf_counter()
    batches = plan_messages(
        DuckDbWarehouse(Path(job["warehouse"])), campaign(), Channel(job["channel"]), run_of_the_bench()
    )
    return {
        "seconds": time.perf_counter() - began,
        "messages": sum(batch.message_count for batch in batches),
        "batches": [batch.batch_id for batch in batches],
    }


def send(job: dict[str, Any]) -> dict[str, Any]:
    """The complete protocol for some batches, as a send task runs it; with `watched`, what takes its time."""
    from rekindle.channels.provider_errors import ProviderErrors
    from rekindle.channels.sendgrid import SendGridChannel
    from rekindle.channels.twilio import TwilioChannel
    from rekindle.dispatch import EmailSender, SmsSender, dispatch_batch
    from rekindle.governor.rate import Governor, ProviderRate
    from rekindle.warehouse.duckdb import DuckDbWarehouse

    sendgrid, twilio = accounts(job["sandbox"])
    governor = Governor.shared(Path(job["folder"]) / "governor", job["channel"], ProviderRate(10_000_000))
    errors = ProviderErrors.load()
    sender: Any
    if job["channel"] == "email":
        sender = EmailSender(SendGridChannel(sendgrid, errors), governor)
    else:
        sender = SmsSender(TwilioChannel(twilio, errors), governor)
    warehouse, compose = DuckDbWarehouse(Path(job["warehouse"])), composer()
    watches = Watches(sender, warehouse, compose) if job.get("watched") else None
    clock, run = RunningClock(), run_of_the_bench()
    counts: dict[str, int] = {}
    began, cpu_began = time.perf_counter(), time.process_time()
    for batch_id in job["batches"]:
        for status, count in dispatch_batch(warehouse, batch_id, compose, sender, clock, run).as_counts().items():
            counts[status] = counts.get(status, 0) + count
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu_began,
        "messages": counts.get("accepted", 0),
        "counts": counts,
    } | (watches.as_seconds() if watches else {})


class Watches:
    """Around what a send task does; they cost a few microseconds a message, so no rate is taken beside them."""

    def __init__(self, sender: Any, warehouse: Any, compose: Any) -> None:
        self._calls, self._warehouse_time = Stopwatch(), Stopwatch()
        self._composing, self._calling, self._writing = Processor(), Processor(), Processor()
        if hasattr(sender.channel, "_client") and hasattr(sender.channel._client, "send"):  # SendGrid's SDK
            sender.channel._client.send = self._calls.around(sender.channel._client.send)
            sender.channel.send = self._calling.around(sender.channel.send)
        else:
            sender.channel.send = self._calls.around(self._calling.around(sender.channel.send))
        transaction = warehouse.transaction

        @contextmanager
        def watched_transaction() -> Iterator[Any]:
            with self._warehouse_time.running(), self._writing.running(), transaction() as opened:
                yield opened

        warehouse.transaction = watched_transaction
        object.__setattr__(compose, "compose", self._composing.around(compose.compose))  # it is frozen

    def as_seconds(self) -> dict[str, float]:
        return {
            "calls": self._calls.seconds,
            "warehouse": self._warehouse_time.seconds,
            "cpu_composing": self._composing.seconds,
            "cpu_calling": self._calling.seconds,
            "cpu_writing": self._writing.seconds,
        }


def bare(job: dict[str, Any]) -> dict[str, Any]:
    """The provider's SDK alone: the same words to as many people, nothing claimed, rendered or recorded."""
    sendgrid, twilio = accounts(job["sandbox"])
    row = {
        "message_id": "4be0643f-1d98-573b-97cd-ca98a65347dd",
        "entry_id": "e",
        "campaign_id": "cold_lead_reengagement",
        "lead_id": "lead-1",
        "step_id": STEPS[job["channel"]],
        "channel": job["channel"],
        "address_hash": "0" * 64,
        "expires_at": AS_OF + timedelta(hours=2),
        "email": "person1@mail.example",
        "phone": "+14152000001",
        "first_name": "Ada",
        "plan": "team",
    }
    outgoing = composer().compose(row, AS_OF).outgoing
    if job["channel"] == "email":
        from sendgrid import SendGridAPIClient

        from rekindle.channels.provider_errors import ProviderErrors
        from rekindle.channels.sendgrid import MAX_PERSONALIZATIONS, SendGridChannel

        channel = SendGridChannel(sendgrid, ProviderErrors.load())
        body = channel._body([outgoing] * MAX_PERSONALIZATIONS)
        client = SendGridAPIClient(sendgrid.api_key.get_secret_value(), host=sendgrid.base_url)
        calls, size, one = job["messages"] // MAX_PERSONALIZATIONS, MAX_PERSONALIZATIONS, client.send
        arguments: dict[str, Any] = {"message": body}
    else:
        from twilio.http.http_client import TwilioHttpClient
        from twilio.rest import Client

        class ToTheSandbox(TwilioHttpClient):
            def request(self, method: str, url: str, *positional: Any, **words: Any) -> Any:
                return super().request(
                    method, url.replace("https://api.twilio.com", job["sandbox"]), *positional, **words
                )

        texts = Client(twilio.username, twilio.secret.get_secret_value(), http_client=ToTheSandbox())
        calls, size, one = job["messages"], 1, texts.messages.create
        arguments = {
            "to": outgoing.to,
            "body": outgoing.body,
            "messaging_service_sid": twilio.messaging_service_sid,
            "status_callback": "https://rekindle.example/webhooks/twilio/status?mid=x",
            "validity_period": 3_600,
        }
    one(**arguments)
    began, cpu_began = time.perf_counter(), time.process_time()
    for _ in range(calls):
        one(**arguments)
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu_began,
        "messages": calls * size,
    }


WORK: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"plan": plan, "send": send, "bare": bare}


def peak_mb() -> float:
    """This program's own peak; `ru_maxrss` would begin with the peak of the process that started it."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def work(text: str) -> None:
    """Do one job and print what came of it; the last thing imported before is what a task has imported too."""
    import airflow.sdk  # noqa: F401 - a send task is a process with Airflow's task SDK in it

    job = json.loads(text)
    before = peak_mb()
    if job.get("profile"):
        import cProfile
        import pstats

        profile = cProfile.Profile()
        found = profile.runcall(WORK[job["kind"]], job)
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    else:
        found = WORK[job["kind"]](job)
    print(json.dumps(found | {"peak_mb": peak_mb(), "before_mb": before}))


def worker(**job: Any) -> dict[str, Any]:
    """Run a job in a fresh process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REKINDLE", "AIRFLOW"))}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "plugins")]),
        "AIRFLOW_HOME": job["folder"],
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "--work", json.dumps(job)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=None if job.get("profile") else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the {job['kind']} worker failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- the benchmark


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    """A `rekindle sandbox` process that throttles nothing and reacts to nothing; gives its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REKINDLE")}
    command = [str(Path(sys.executable).with_name("rekindle")), "sandbox", "--port", str(port), "--reactions", "none"]
    with (folder / "sandbox.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/_sandbox/healthz", timeout=2).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the sandbox did not start: {(folder / 'sandbox.log').read_text()}") from None
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@dataclass(frozen=True)
class Verdict:
    """One figure against its bar."""

    what: str
    figure: str
    bar: str
    holds: bool


def planned_warehouse(folder: Path, empty: Path, channel: str, entries: int) -> tuple[Path, dict[str, Any]]:
    """A warehouse with that many messages planned, and what planning them cost."""
    path = folder / f"{channel}-{entries}.duckdb"
    shutil.copy(empty, path)
    fill(path, channel, entries)
    return path, worker(kind="plan", channel=channel, warehouse=str(path), folder=str(folder))


def speed_table(rates: Sequence[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]) -> Table:
    table = Table(title="One send task and the sandbox, unthrottled")
    table.add_column("")
    for channel, *_ in rates:
        table.add_column(channel, justify="right")

    def row(what: str, figure: Callable[[dict[str, Any], dict[str, Any]], str]) -> None:
        table.add_row(what, *(figure(sent, alone) for _, sent, _, alone in rates))

    def watched_row(what: str, figure: Callable[[dict[str, Any]], str]) -> None:
        table.add_row(what, *(figure(watched) for _, _, watched, _ in rates))

    row("messages", lambda sent, alone: f"{sent['messages']:,}")
    row("a second, whole protocol", lambda sent, alone: f"{per_second(sent):,.0f}")
    row("a second, bare SDK", lambda sent, alone: f"{per_second(alone):,.0f}")
    row("of the bare SDK", lambda sent, alone: f"{per_second(sent) / per_second(alone):.0%}")
    row("CPU a message, whole protocol", lambda sent, alone: f"{sent['cpu'] / sent['messages'] * 1e6:,.0f} µs")
    row("CPU a message, bare SDK", lambda sent, alone: f"{alone['cpu'] / alone['messages'] * 1e6:,.0f} µs")
    row("peak memory, Airflow's task SDK included", lambda sent, alone: f"{sent['peak_mb']:.0f} MB")
    table.add_section()
    watched_row("watched: a second", lambda watched: f"{per_second(watched):,.0f}")
    watched_row("time with a call in the SDK under way", lambda watched: f"{watched['calls'] / watched['seconds']:.0%}")
    watched_row("time in our code alone", lambda watched: f"{1 - watched['calls'] / watched['seconds']:.0%}")
    watched_row("time in a transaction", lambda watched: f"{watched['warehouse'] / watched['seconds']:.0%}")
    for what, name in (("composing", "composing"), ("channel and SDK", "calling"), ("warehouse", "writing")):
        watched_row(
            f"CPU a message {what}",
            lambda watched, name=name: f"{watched['cpu_' + name] / watched['messages'] * 1e6:,.0f} µs",
        )
    return table


def per_second(found: dict[str, Any]) -> float:
    return float(found["messages"] / found["seconds"])


def memory_table(sizes: Sequence[tuple[int, dict[str, Any], dict[str, Any]]]) -> Table:
    table = Table(title="Memory and the size of the run (e-mails)")
    table.add_column("planned messages")
    for entries, _, _ in sizes:
        table.add_column(f"{entries:,}", justify="right")

    def row(what: str, figure: Callable[[dict[str, Any], dict[str, Any]], str]) -> None:
        table.add_row(what, *(figure(planned, sent) for _, planned, sent in sizes))

    row("batches", lambda planned, sent: f"{len(planned['batches']):,}")
    row("planning took", lambda planned, sent: f"{planned['seconds']:.1f} s")
    row("peak of planning", lambda planned, sent: f"{planned['peak_mb']:.0f} MB")
    row("sent by one task", lambda planned, sent: f"{sent['messages']:,}")
    row("a second", lambda planned, sent: f"{per_second(sent):,.0f}")
    row("peak of the send task", lambda planned, sent: f"{sent['peak_mb']:.0f} MB")
    row("  of it before the first line of ours", lambda planned, sent: f"{sent['before_mb']:.0f} MB")
    return table


def benchmark(
    emails: Annotated[int, typer.Option(min=5_000, help="E-mails to send for the rate.")] = 30_000,
    texts: Annotated[int, typer.Option(min=1_000, help="Texts to send for the rate.")] = 4_000,
    big: Annotated[int, typer.Option(min=20_000, help="Planned messages of the bigger run in the memory part.")] = (
        100_000
    ),
    million: Annotated[bool, typer.Option("--million", help="The bigger run is 1,000,000 planned messages.")] = False,
    profile: Annotated[str, typer.Option(help="`email` or `sms`: print a profile of that send task and stop.")] = "",
) -> None:
    """Measure the complete send protocol against the sandbox: rates, shares of time, memory. Exit 1 below a bar."""
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="rekindle-bench-") as home:
        folder = Path(home)
        empty = world_module().build_empty_warehouse(folder / "empty.duckdb")
        rates = []
        with sandbox(folder) as url:
            for channel, count, bar in (("email", emails, BAR_EMAILS), ("sms", texts, BAR_TEXTS)):
                if profile and profile != channel:
                    continue
                path, planned = planned_warehouse(folder, empty, channel, count)
                job = {"channel": channel, "folder": home, "sandbox": url}
                copy = folder / "copy" / path.name
                copy.parent.mkdir(exist_ok=True)
                shutil.copy(path, copy)
                if profile:
                    worker(kind="send", warehouse=str(path), batches=planned["batches"], profile=True, **job)
                    return
                sent = worker(kind="send", warehouse=str(path), batches=planned["batches"], **job)
                watched = worker(kind="send", warehouse=str(copy), batches=planned["batches"], watched=True, **job)
                for found in (sent, watched):
                    if found["messages"] != count:
                        raise SystemExit(f"{count} {channel} messages were planned and {found['counts']} came of them")
                alone = worker(kind="bare", messages=max(count, 20_000) if channel == "email" else 2_000, **job)
                rates.append((channel, sent, watched, alone))
                rate = per_second(sent)
                verdicts.append(Verdict(f"{channel} per second", f"{rate:,.0f}", f"≥ {bar:,}", rate >= bar))
                path.unlink()
                copy.unlink()
            console.print(speed_table(rates))
            sizes = []
            for entries in (10_000, 1_000_000 if million else big):
                path, planned = planned_warehouse(folder, empty, "email", entries)
                middle = len(planned["batches"]) // 2
                some = planned["batches"][middle : middle + 2]
                sent = worker(kind="send", warehouse=str(path), batches=some, channel="email", folder=home, sandbox=url)
                sizes.append((entries, planned, sent))
                path.unlink()
            console.print(memory_table(sizes))
    peaks = [sent["peak_mb"] for _, sent, _, _ in rates] + [sent["peak_mb"] for *_, sent in sizes]
    growth = sizes[-1][2]["peak_mb"] / sizes[0][2]["peak_mb"]
    verdicts += [
        Verdict("peak of a send task", f"{max(peaks):.0f} MB", f"< {BAR_MEMORY} MB", max(peaks) < BAR_MEMORY),
        Verdict(
            f"peak with {sizes[-1][0]:,} planned over {sizes[0][0]:,}",
            f"× {growth:.2f}",
            f"≤ {BAR_GROWTH}",
            growth <= BAR_GROWTH,
        ),
    ]
    for verdict in verdicts:
        mark = "[green]holds[/]" if verdict.holds else "[red]missed[/]"
        console.print(f"{mark}  {verdict.what}: {verdict.figure} (bar {verdict.bar})")
    raise typer.Exit(int(not all(verdict.holds for verdict in verdicts)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
    else:
        typer.run(benchmark)
