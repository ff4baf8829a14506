"""How exactly the governor holds a rate: `make bench-rate [WINDOW=60 OUTAGE=30]`; exit 1 when a promise is broken.

Worker processes send texts through the real sender, Twilio's SDK and loopback HTTP to a `rekindle sandbox` that counts
segments and answers 429 above the limit. Every grant is stamped with the instant the governor decided by, every call
with its start. Promised, for every rate with one worker and with four:

* over any window (20 s, or WINDOW) the workers reach 97-100 % of the limit;
* no window of one second grants more than the limit and the governor's burst, and none sees more calls begin than that
  and the block each worker may hold in its hand;
* the provider never answers 429;
* after an outage (the provider hangs; the provider says Retry-After) no burst makes up for lost time.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
RATES = (10, 50, 100)
WORKERS = (1, 4)
LEAST, MOST = 0.97, 1.00  # share of the limit over a long window
WARM_UP = 1.0  # seconds between the first grant and the first window: connections and pools come up
OUTAGE_RATE, OUTAGE_WORKERS = 100, 4
RECOVERED_SECONDS = 2.0  # at the end of an outage run, when it must be as if nothing had been

console = Console()


def bench_send() -> Any:
    """`bench_send.py`, which knows how to start a sandbox and what an account of it looks like."""
    spec = importlib.util.spec_from_file_location("rekindle_bench_send", Path(__file__).with_name("bench_send.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --- a worker: a process of its own, which sends until it is stopped


class RememberingClock:
    """The machine's clock; what the governor read last is the instant of its grant."""

    last = 0.0

    def now(self) -> datetime:
        instant = datetime.now(UTC)
        self.last = instant.timestamp()
        return instant


class StampingChannel:
    """Writes one line for each call: when it began, by the machine's clock, and the error code."""

    def __init__(self, channel: Any, path: Path) -> None:
        self._channel = channel
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def send(self, sms: Any) -> Any:
        began = time.time()
        outcome = self._channel.send(sms)
        with self._lock:
            self._file.write(f"{began:.6f} {outcome.error_code or 'accepted'}\n")
        return outcome


def work(job: dict[str, Any]) -> None:
    """Send texts of one segment as fast as the governor lets us."""
    from rekindle.clock import SystemClock
    from rekindle.governor.rate import Governor, ProviderRate

    _, account = bench_send().accounts(job["sandbox"])
    folder, number, clock, remembering = Path(job["folder"]), job["number"], SystemClock(), RememberingClock()
    governor = Governor.shared(folder, "twilio", ProviderRate(job["rate"]), clock=remembering)
    ask = governor.acquire_some
    with (folder / f"grants-{number}.txt").open("a", buffering=1) as grants:

        def acquire_some(costs: Sequence[int], deadline: datetime | None = None) -> int:
            granted = ask(costs, deadline)
            grants.write("".join(f"{remembering.last:.6f} granted\n" for _ in range(granted)))
            return granted

        governor.acquire_some = acquire_some  # type: ignore[method-assign]
        send_for_ever(job, governor, account, clock)


def send_for_ever(job: dict[str, Any], governor: Any, account: Any, clock: Any) -> None:
    from rekindle.channels.ports import OutgoingSms
    from rekindle.channels.provider_errors import ProviderErrors
    from rekindle.channels.twilio import TwilioChannel
    from rekindle.dispatch import Composed, SmsSender

    folder, number = Path(job["folder"]), job["number"]
    channel = TwilioChannel(account, ProviderErrors.load(), timeout_seconds=job["timeout"])
    sender = SmsSender(StampingChannel(channel, folder / f"calls-{number}.txt"), governor)  # type: ignore[arg-type]
    count = 0
    (folder / f"ready-{number}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    while True:
        chunk = []
        for _ in range(max(job["rate"], sender.chunk_size)):
            count += 1
            message_id = f"{number}-{count}"
            sms = OutgoingSms(
                message_id, "bench", "text", "lead", f"+1415{2_000_000 + count:07d}", "Your table is free.", 1, 3_600
            )
            chunk.append(Composed(message_id, sms, "0" * 64, 1, clock.now() + timedelta(hours=1)))
        sender.send(chunk, clock)


# --- the measurement


@dataclass
class Run:
    """What one configuration did."""

    rate: int
    workers: int
    kind: str
    seconds: float
    burst: int
    block: int
    grants: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    injected: int = 0
    during_outage: int = 0
    #: Seconds from the first stamp; nothing of the outage is judged as a rate.
    outage: tuple[float, float] | None = None

    @staticmethod
    def windows(stamps: Sequence[float], length: float) -> Iterator[tuple[float, int]]:
        """For each stamp: its instant and how many stamps lie within `length` from it."""
        for index, began in enumerate(stamps):
            yield began, bisect_left(stamps, began + length) - index

    def shares(self) -> tuple[float, float]:
        """The least and the greatest share of the limit over any window of `seconds` after the warm-up."""
        first, last = self.stamps[0] + WARM_UP, self.stamps[-1]
        counts = [
            count
            for began, count in self.windows(self.stamps, self.seconds)
            if began >= first and began + self.seconds <= last
        ]
        expected = self.rate * self.seconds
        return min(counts, default=0) / expected, max(counts, default=0) / expected

    def busiest_second(self, stamps: Sequence[float]) -> int:
        return max((count for _, count in self.windows(stamps, 1.0)), default=0)

    @property
    def allowed(self) -> int:
        """Grants in any second."""
        return self.rate + self.burst

    @property
    def allowed_calls(self) -> int:
        """Calls that begin in any second."""
        return self.allowed + self.workers * self.block

    def last_seconds(self, length: float) -> float:
        """Share of the limit reached in the last `length` seconds."""
        return sum(began > self.stamps[-1] - length for began in self.stamps) / (self.rate * length)

    def throttled(self) -> int:
        return self.codes.count("20429") - self.injected

    def problems(self) -> list[str]:
        found = []
        if not self.stamps:
            return ["no call was made"]
        if self.outage is None:
            least, most = self.shares()
            if not LEAST <= least <= most <= MOST:
                found.append(f"rate {least:.1%}-{most:.1%}")
        elif self.last_seconds(RECOVERED_SECONDS) < LEAST:
            found.append(f"only {self.last_seconds(RECOVERED_SECONDS):.1%} afterwards")
        if self.busiest_second(self.grants) > self.allowed:
            found.append(f"{self.busiest_second(self.grants)} grants in one second")
        if self.busiest_second(self.stamps) > self.allowed_calls:
            found.append(f"{self.busiest_second(self.stamps)} calls in one second")
        if self.throttled() > 0:
            found.append(f"{self.throttled()} answers 429")
        if self.kind == "Retry-After" and self.during_outage:
            found.append(f"{self.during_outage} calls during the pause")
        return found


def measure(rate: int, workers: int, seconds: float, kind: str = "steady", outage: float = 0.0) -> Run:
    """Let the workers run against a throttling sandbox, with or without an outage in the middle."""
    from rekindle.governor.rate import ProviderRate

    run = Run(rate, workers, kind, seconds, ProviderRate(rate).burst, ProviderRate(rate).block)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with throttling_sandbox(folder, rate) as (url, sandbox):
            jobs = [
                {
                    "sandbox": url,
                    "folder": temporary,
                    "rate": rate,
                    "number": number,
                    "timeout": outage + 30.0,
                }
                for number in range(workers)
            ]
            with worker_processes(jobs):
                while len(list(folder.glob("ready-*"))) < workers:
                    time.sleep(0.05)
                (folder / "go").touch()
                if outage:
                    time.sleep(seconds / 2)
                    began = time.time()
                    if kind == "hang":
                        sandbox.send_signal(signal.SIGSTOP)
                        time.sleep(outage)
                        sandbox.send_signal(signal.SIGCONT)
                    else:
                        throttle_once(url, outage)
                        time.sleep(outage)
                    run.outage = (began, time.time())
                    time.sleep(seconds / 2)
                else:
                    # a window at each of the first seconds after the warm-up
                    time.sleep(WARM_UP + seconds + 2.0)
        calls, grants = stamped(folder, "calls"), stamped(folder, "grants")
    run.grants = [stamp for stamp, _ in grants]
    run.stamps, run.codes = [stamp for stamp, _ in calls], [code for _, code in calls]
    if kind == "Retry-After":
        hit = next((stamp for stamp, code in calls if code == "20429"), None)
        run.injected = 0 if hit is None else 1
        # half a second for the calls that were on their way when the answer came
        run.during_outage = sum(1 for s, _ in calls if hit is not None and hit + 0.5 < s < hit + outage - 0.1)
    return run


def stamped(folder: Path, what: str) -> list[tuple[float, str]]:
    """What the workers wrote, in the order of time; a line that was cut off by the end is left out."""
    lines = [line for path in folder.glob(f"{what}-*.txt") for line in path.read_text().splitlines(keepends=True)]
    return sorted((float(line.split()[0]), line.split()[1]) for line in lines if line.endswith("\n"))


@contextmanager
def worker_processes(jobs: Sequence[dict[str, Any]]) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, __file__, "--work", json.dumps(job)]) for job in jobs]
    try:
        yield
        dead = [process.returncode for process in processes if process.poll() is not None]
        if dead:
            raise RuntimeError(f"workers died: {dead}")
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(timeout=30)


@contextmanager
def throttling_sandbox(folder: Path, rate: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A sandbox process that answers 429 to more than `rate` segments a second."""
    port = free_port()
    environment = os.environ | {"REKINDLE_SANDBOX_TWILIO_SEGMENTS_PER_SECOND": str(rate)}
    environment.pop("REKINDLE_CLOCK_FILE", None)
    code = "from rekindle.cli import main; main()"
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "sandbox", "--port", str(port), "--reactions", "none"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            while not is_up(url):
                if process.poll() is not None:
                    raise RuntimeError(f"the sandbox did not start:\n{(folder / 'sandbox.log').read_text()}")
                time.sleep(0.05)
            yield url, process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(timeout=30)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_sandbox/healthz", timeout=1):
            return True
    except OSError:
        return False


def throttle_once(url: str, seconds: float) -> None:
    """The next text is answered 429 with Retry-After."""
    rule = {"kind": "rate_limited", "provider": "twilio", "endpoint": "messages_create", "count": 1}
    body = json.dumps([rule | {"retry_after": int(seconds)}]).encode()
    request = urllib.request.Request(f"{url}/_sandbox/faults", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10):
        pass


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def table_of(runs: Sequence[Run], seconds: float) -> Table:
    table = Table(
        title=f"The governor against a sandbox that throttles, windows of {seconds:g} s", title_justify="left"
    )
    for heading in (
        "limit /s",
        "workers",
        "case",
        "calls",
        "of the limit",
        "granted in 1 s",
        "begun in 1 s",
        "429",
        "",
    ):
        table.add_column(heading, justify="left" if heading in ("case", "") else "right")
    for run in runs:
        least, most = run.shares() if run.outage is None and run.stamps else (0.0, 0.0)
        table.add_row(
            str(run.rate),
            str(run.workers),
            run.kind,
            str(len(run.stamps)),
            f"{least:.1%}-{most:.1%}" if run.outage is None else "",
            f"{run.busiest_second(run.grants)} ≤ {run.allowed}",
            f"{run.busiest_second(run.stamps)} ≤ {run.allowed_calls}",
            str(run.throttled()),
            "[red]" + ", ".join(run.problems()) if run.problems() else "[green]holds",
        )
    return table


def bench(
    seconds: Annotated[float, typer.Option(min=20, help="Length of the windows; the full promise is about 60.")] = 20.0,
    outage: Annotated[float, typer.Option(min=1, help="Seconds the provider is away; the full promise: 30.")] = 5.0,
    rates: Annotated[str, typer.Option(help="Limits a second, comma separated.")] = ",".join(map(str, RATES)),
    workers: Annotated[str, typer.Option(help="Numbers of worker processes.")] = ",".join(map(str, WORKERS)),
    with_outages: Annotated[bool, typer.Option("--outages/--no-outages", help="Measure recovery too.")] = True,
    work_json: Annotated[str | None, typer.Option("--work", hidden=True)] = None,
) -> None:
    """Measure how exactly the governor holds a rate; exit 1 when a promise is broken."""
    if work_json is not None:
        work(json.loads(work_json))
        return
    runs = [
        measure(rate, count, seconds) for rate in map(int, rates.split(",")) for count in map(int, workers.split(","))
    ]
    if with_outages:
        runs += [
            measure(OUTAGE_RATE, OUTAGE_WORKERS, min(seconds, 10.0), kind, outage) for kind in ("hang", "Retry-After")
        ]
    console.print(table_of(runs, seconds))
    if any(run.problems() for run in runs):
        raise typer.Exit(1)


if __name__ == "__main__":
    command = typer.Typer(pretty_exceptions_enable=False)
    command.command()(bench)
    command()
