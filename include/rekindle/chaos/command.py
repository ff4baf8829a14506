"""`rekindle chaos`: histories side by side until enough dispatchers were killed, then the verdict."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rekindle.chaos.checker import Findings, check
from rekindle.chaos.ground import Counts, Ground, build_empty_ground
from rekindle.chaos.history import History
from rekindle.chaos.play import Play, Stopped
from rekindle.chaos.report import Story, chaos_report
from rekindle.chaos.room import ProcessRoom
from rekindle.errors import BadInputError

#: Kills of one history; a longer run is more histories, each with a seed of its own.
KILLS_PER_HISTORY = 100


@dataclass(frozen=True)
class Told:
    """One history, judged."""

    seed: int
    counts: Counts
    story: Story
    findings: Findings


def run_chaos(kills: int, seed: int, workers: int, keep: Path | None, console: Console) -> bool:
    """Kill that many dispatchers and print what came of it; whether every promise was kept.

    Histories get the seeds `seed`, `seed + 1`, …. With `keep`, the warehouse and the sandbox's record of each stay in
    that folder, which must be empty or new (`BadInputError`). Ctrl-C ends it cleanly, as `KeyboardInterrupt`.
    """
    with _folder(keep) as folder, _progress(console) as progress:
        bar = progress.add_task("SIGKILL", total=kills)
        template = build_empty_ground(folder / "template.duckdb")
        shares = [min(KILLS_PER_HISTORY, kills - done) for done in range(0, kills, KILLS_PER_HISTORY)]
        told: list[Told] = []
        stop = Event()
        with ThreadPoolExecutor(workers) as pool:

            def tell(number: int) -> Told:
                with ProcessRoom() as room:
                    return play_history(
                        folder / f"history-{seed + number}",
                        template,
                        room,
                        seed + number,
                        shares[number],
                        keep is not None,
                        lambda killed: progress.advance(bar, killed),
                        stop,
                    )

            futures = {pool.submit(tell, number) for number in range(len(shares))}
            try:
                for done in _as_completed(futures):
                    told.append(done.result())
                    if not told[-1].findings.hold:
                        _accuse(console, told[-1], shares[told[-1].seed - seed], keep)
            except BaseException:
                stop.set()
                for future in futures:
                    future.cancel()
                raise
    counts, story = Counts(), Story()
    for each in told:
        counts.add(each.counts)
        story.add(each.story)
    console.print(chaos_report(counts, story, [each.findings for each in told]))
    broken = [each for each in told if not each.findings.hold]
    console.print(
        f"{counts.killed:,} dispatchers killed in {len(told)} histories, seeds {seed} to {seed + len(told) - 1}:"
        f" {'every promise kept' if not broken else f'[red bold]{len(broken)} histories broke a promise[/]'}"
    )
    return not broken


def play_history(
    folder: Path,
    template: Path,
    room: ProcessRoom,
    seed: int,
    kills: int,
    keeps: bool,
    on_kills: object = None,
    stop: Event | None = None,
) -> Told:
    """Play one history in a folder of its own and judge it; the folder goes away unless it is kept."""
    with Ground(folder, template, room, seed=seed) as ground:
        Play(ground, History(seed), kills, on_kills=on_kills if callable(on_kills) else _nobody, stop=stop).run()
        evidence = ground.evidence()
    if not keeps:
        shutil.rmtree(folder)
    return Told(seed, ground.counts, Story.of(evidence), check(evidence))


def _nobody(_: int) -> None:
    return None


def _as_completed(futures: set[Future[Told]]) -> Iterator[Future[Told]]:
    """Like the standard library's, but Ctrl-C is heard while waiting."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        yield from done


def _accuse(console: Console, told: Told, kills: int, keep: Path | None) -> None:
    console.print(f"[red bold]history {told.seed} broke a promise:[/]")
    for promise, broken in told.findings.by_promise().items():
        for one in broken:
            console.print(f"  {promise}: {one}", highlight=False)
    where = "" if keep else " --keep FOLDER"
    console.print(f"  to see it again: rekindle chaos --seed {told.seed} --kills {kills}{where}", highlight=False)
    if keep:
        console.print(f"  its warehouse and record: {keep / f'history-{told.seed}'}", highlight=False)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="rekindle-chaos-") as name:
            yield Path(name)
        return
    if keep.exists() and any(keep.iterdir()):
        raise BadInputError(f"{keep} is not empty; name a new folder for the warehouses and records to keep")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


__all__ = ["KILLS_PER_HISTORY", "Stopped", "Told", "play_history", "run_chaos"]
