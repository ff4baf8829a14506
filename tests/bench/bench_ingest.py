"""How long a million landed events take into DuckDB: `python tests/bench/bench_ingest.py`; exit 1 above the bar.

A benchmark and not a test: a busy machine must not fail a change. The files are made up once in a temporary folder:
SendGrid batches with repeats and strangers' events, Twilio receipts, clicks, opt-outs and tracked events. The load runs
in a process of its own, whose memory (its parsers' included) is watched from outside.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import psutil
import pyarrow as pa
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
BAR_SECONDS = 60.0  # for a million events
BAR_MEMORY = 2 * 1024**3  # bytes resident, all processes of the load together
NOW = datetime(2026, 1, 12, 18, tzinfo=UTC)
FORM = {"content-type": "application/x-www-form-urlencoded"}
BROWSER = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15"
REQUEST_EVENTS = 250  # events of one SendGrid request
FILE_REQUESTS = 20  # requests of one SendGrid file: what a busy receiver gathers

#: Event, its share of a provider's stories, and what it carries besides.
MAIL_EVENTS: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("processed", 0.33, {}),
    ("delivered", 0.31, {"response": "250 2.0.0 OK  1772380800 d9443c01a7336-1f5c"}),
    ("open", 0.22, {"useragent": BROWSER, "ip": "198.51.100.7", "sg_machine_open": False}),
    ("deferred", 0.05, {"response": "451 4.7.1 greylisted", "attempt": "1"}),
    ("bounce", 0.04, {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}),
    ("dropped", 0.02, {"reason": "Bounced Address"}),
    ("spamreport", 0.01, {}),
    ("unsubscribe", 0.02, {}),
)


def message_id(number: int) -> str:
    digest = hashlib.md5(str(number).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"


def line(at: datetime, body: str, **words: Any) -> str:
    record = {"received_at": at.isoformat(), "remote": "198.51.100.7", "method": "POST", "path": "/", "headers": {}}
    return json.dumps(record | {"query": {}, "body": body} | words, separators=(",", ":")) + "\n"


def mail_event(
    dice: random.Random, messages: int, kinds: list[str], words: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    number = int(dice.random() * messages)
    ours = dice.random() > 0.1  # the account sends other mail too
    event = dice.choices(kinds, [share for _, share, _ in MAIL_EVENTS])[0]
    identifier = message_id(number)
    return {
        "email": f"person{number}@mail.example",
        "event": event,
        "timestamp": int(NOW.timestamp()) - number % 80_000,
        "sg_event_id": base64.urlsafe_b64encode(dice.randbytes(24)).decode(),
        "sg_message_id": f"{identifier[:22]}.recvd-5f54b5d587-2cz5j-1-64AFB0F2-3.0",
        "smtp-id": f"<{identifier[:22]}@geopod-ismtpd-1>",
        "category": ["win-back"],
        **({"rk_message_id": identifier} if ours else {}),
        **words[event],
    }


def mail_files(dice: random.Random, count: int, messages: int) -> Iterator[str]:
    """Contents of SendGrid files; a third of the events has been delivered before."""
    kinds = [event for event, _, _ in MAIL_EVENTS]
    words = {event: more for event, _, more in MAIL_EVENTS}
    told: list[dict[str, Any]] = []
    requests: list[str] = []
    batch: list[dict[str, Any]] = []
    for _ in range(count):
        if told and dice.random() < 0.33:
            event = told[int(dice.random() * len(told))] | {"sg_event_id": dice.randbytes(12).hex()}
        else:
            event = mail_event(dice, messages, kinds, words)
            told.append(event)
            if len(told) > 50_000:
                told = told[25_000:]
        batch.append(event)
        if len(batch) == REQUEST_EVENTS:
            requests.append(line(NOW, json.dumps(batch, separators=(",", ":"))))
            batch = []
        if len(requests) == FILE_REQUESTS:
            yield "".join(requests)
            requests = []
    if batch:
        requests.append(line(NOW, json.dumps(batch, separators=(",", ":"))))
    if requests:
        yield "".join(requests)


def text_line(dice: random.Random, messages: int) -> str:
    number = int(dice.random() * messages)
    status = dice.choice(("sent", "delivered", "delivered", "undelivered"))
    form = {
        "MessageSid": "SM" + hashlib.md5(f"t{number}".encode()).hexdigest(),
        "MessageStatus": status,
        "To": f"+1415{number % 10_000_000:07d}",
        "From": "+12125550100",
        "AccountSid": "AC" + "0" * 32,
        "ApiVersion": "2010-04-01",
    } | ({"ErrorCode": "30005"} if status == "undelivered" else {})
    return line(NOW, urlencode(form), headers=FORM, query={"mid": message_id(number)})


def click_line(dice: random.Random, messages: int) -> str:
    token = {"message_id": message_id(int(dice.random() * messages)), "destination": "https://app.example/start"}
    at = NOW - timedelta(microseconds=int(dice.random() * 10**10))
    return line(at, "", method="GET", path="/c/", headers={"user-agent": BROWSER}, token=token)


def reply_line(dice: random.Random, messages: int) -> str:
    number = int(dice.random() * messages)
    form = {
        "MessageSid": "SM" + dice.randbytes(16).hex(),
        "From": f"+1415{number % 10_000_000:07d}",
        "Body": dice.choice(("STOP", "Stop please", "who is this?", "not now, thanks", "YES")),
    }
    return line(NOW, urlencode(form), headers=FORM)


def app_line(dice: random.Random, messages: int) -> str:
    number = int(dice.random() * messages)
    call = {
        "type": "track",
        "userId": f"lead-{number}",
        "event": dice.choice(("log_in", "page_viewed", "project_created")),
        "messageId": dice.randbytes(12).hex(),
        "timestamp": (NOW - timedelta(seconds=number % 3600)).isoformat(),
        "properties": {"plan": "team", "page": "/projects", "count": number % 17},
    }
    return line(NOW, json.dumps(call, separators=(",", ":")), path="/v1/track")


def make_up(landing: Path, events: int, messages: int) -> int:
    """Write the landing files of so many events; how many bytes."""
    dice = random.Random(1)
    written = 0

    def write(stream: str, number: int, content: str) -> None:
        nonlocal written
        folder = landing / stream / f"{NOW:%Y-%m-%d}"
        folder.mkdir(parents=True, exist_ok=True)
        written += (folder / f"180000{number:06d}-{number:016x}.jsonl").write_text(content)

    for number, content in enumerate(mail_files(dice, int(events * 0.8), messages)):
        write("sendgrid_events", number, content)
    rest = {
        "twilio_status": (text_line, 0.08),
        "link_clicks": (click_line, 0.03),
        "twilio_inbound": (reply_line, 0.01),
        "app_events": (app_line, 0.08),
    }
    for stream, (make, share) in rest.items():
        left, number = round(events * share), 0
        while left:
            size = min(left, 100)  # single requests gather in small files
            write(stream, number, "".join(make(dice, messages) for _ in range(size)))
            left, number = left - size, number + 1
    return written


def make_warehouse(folder: Path, messages: int) -> Path:
    """A migrated warehouse in which so many e-mails and texts were accepted."""
    spec = importlib.util.spec_from_file_location("rekindle_bench_world", ROOT / "tests" / "sql" / "world.py")
    assert spec is not None and spec.loader is not None
    world = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = world
    spec.loader.exec_module(world)
    path: Path = world.build_empty_warehouse(folder / "warehouse.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table ids (message_id varchar, address_hash varchar)")
        for first in range(0, messages, 50_000):
            ids = [
                (message_id(number), hashlib.sha256(f"person{number}@mail.example".encode()).hexdigest())
                for number in range(first, min(first + 50_000, messages))
            ]
            table = {"message_id": [one for one, _ in ids], "address_hash": [other for _, other in ids]}
            connection.register("made_up", pa.table(table))
            connection.execute("insert into ids select * from made_up")
        connection.execute(
            "insert into rekindle_state.messages by name select message_id, message_id as entry_id,"
            " 'c' as campaign_id, 'lead' as lead_id, 'treatment' as arm, 's' as step_id, 'email' as channel,"
            " 'attempt-1' as attempt_class, address_hash, 'accepted' as status, 50 as status_rank, 'b' as batch_id,"
            " 'a' as attempt_id, $at as attempting_at, $at as accepted_at, 'sendgrid' as provider,"
            " 't' as template_hash, 'b' as body_hash, $at as window_opens_at, $at as planned_at, $at as expires_at,"
            " 'run' as run_id from ids",
            {"at": NOW.replace(tzinfo=None) - timedelta(days=1)},
        )
        connection.execute("drop table ids")
    return path


def load(path: str, landing: str, result: Any) -> None:
    """The load itself, in a process of its own."""
    from rekindle.ingest import load_landing_zone
    from rekindle.run import Run
    from rekindle.warehouse.duckdb import DuckDbWarehouse

    started, cpu = time.perf_counter(), time.process_time()
    counts = load_landing_zone(DuckDbWarehouse(Path(path)), Path(landing), Run(NOW, "bench", NOW))
    result.put((time.perf_counter() - started, time.process_time() - cpu, counts))


def watch(process: psutil.Process, peak: list[int], stop: threading.Event) -> None:
    while not stop.wait(0.1):
        total = 0
        try:
            for member in [process, *process.children(recursive=True)]:
                total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total)


def main() -> int:
    """Print the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--landing", type=Path, help="use (or make) the landing files here, to measure again sooner")
    options = parser.parse_args()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="rekindle-bench-ingest-"))
    stop = threading.Event()
    try:
        landing = options.landing or folder / "landing"
        if not landing.exists():
            make_up(landing, options.events, options.messages)
        size = sum(file.stat().st_size for file in landing.rglob("*.jsonl"))
        path = make_warehouse(folder, options.messages)
        context = multiprocessing.get_context("spawn")
        result = context.Queue()
        process = context.Process(target=load, args=(str(path), str(landing), result))
        process.start()
        peak = [0]
        watcher = threading.Thread(target=watch, args=(psutil.Process(process.pid), peak, stop))
        watcher.start()
        while result.empty() and process.is_alive():
            time.sleep(0.2)
        if result.empty():
            return 2  # it has told why
        seconds, cpu, counts = result.get(timeout=30)
        process.join(30)
    finally:
        stop.set()
        shutil.rmtree(folder, ignore_errors=True)
    bar = BAR_SECONDS * max(options.events / 1_000_000, 0.05)
    lost = options.events - counts["elements"] - counts["dead_letters"]
    verdicts = [
        (f"{options.events:,} events into DuckDB", f"{seconds:.1f} s", f"< {bar:.0f} s", seconds < bar),
        ("events a second", f"{options.events / seconds:,.0f}", "", True),
        ("CPU of the main process", f"{cpu:.1f} s", "", True),
        (
            "peak memory, parsers included",
            f"{peak[0] / 2**20:,.0f} MB",
            f"< {BAR_MEMORY / 2**20:,.0f} MB",
            peak[0] < BAR_MEMORY,
        ),
        ("events without a row", f"{lost:,}", "0", lost == 0),
    ]
    table = Table(
        title=f"ingest: {counts['files']:,} files, {size / 2**20:,.0f} MB, load average {psutil.getloadavg()[0]:.1f}"
    )
    for heading in ("what", "measured", "bar", "verdict"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for what, measured, wanted, holds in verdicts:
        table.add_row(what, measured, wanted, "[green]ok[/]" if holds else "[red]missed[/]")
    console.print(table)
    console.print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    return int(not all(holds for *_, holds in verdicts))


if __name__ == "__main__":
    sys.exit(main())
