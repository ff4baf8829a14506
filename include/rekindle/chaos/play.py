"""Plays one history on one ground, from the first plan to the last proof."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

from rekindle.chaos.ground import SENDING, START, Attempt, Ground
from rekindle.chaos.history import History, Ordeal, OrdealKind
from rekindle.chaos.jobs import Fate
from rekindle.chaos.open_files import freeze_without
from rekindle.chaos.places import Place
from rekindle.sandbox.faults import FaultKind
from rekindle.vocabulary import Channel

BATCH_SIZE = 4  # messages: two chunks
#: People a history needs for each kill, so that there is something left to kill for.
PEOPLE_PER_KILL = 2.0
#: The window is open for eleven and a half hours; the rest is for those who resume.
LAST_ROUND = timedelta(hours=9)

_SLOW = 0.15  # seconds
_SILENT = 1.5  # seconds: longer than a sender waits
_LOCKED_FOR = 0.2  # seconds a sender waits for the warehouse while somebody holds it
_CALL = 0.03  # seconds after its start at which a call is killed at the latest
_FIRST_GUESS = 0.2  # seconds an attempt takes


class Stopped(Exception):
    """Somebody wants to leave."""


class Play:
    """One history on one ground."""

    def __init__(
        self,
        ground: Ground,
        history: History,
        kills: int,
        *,
        on_kills: Callable[[int], None] = lambda _: None,
        stop: Event | None = None,
    ) -> None:
        self._ground = ground
        self._history = history
        self._kills = kills
        self._on_kills = on_kills
        self._stop = stop or Event()
        self._usual_life = _FIRST_GUESS

    def run(self) -> None:
        """The e-mail's day, the days of waiting, the text's day, and the days until everything is proved or given up.

        Raises `Stopped` when `stop` was set.
        """
        ground = self._ground
        ground.populate(max(40, round(self._kills * PEOPLE_PER_KILL)))
        self._act(Channel.EMAIL, self._kills // 2)
        ground.pass_days(1, 2, 4)
        self._act(Channel.SMS, self._kills)
        ground.settle()

    def _act(self, channel: Channel, kills: int) -> None:
        ground = self._ground
        batches = ground.plan(channel, BATCH_SIZE)
        ordeals = self._history.ordeals()
        until = START + timedelta(days=ground.day) + LAST_ROUND
        while batches and ground.counts.killed < kills and ground.clock.now() < until:
            for batch_id, ordeal in zip(batches, ordeals, strict=False):
                if self._stop.is_set():
                    raise Stopped
                before = ground.counts.killed
                self._suffer(batch_id, channel, ordeal)
                self._on_kills(ground.counts.killed - before)
                if ground.counts.killed >= kills or ground.clock.now() >= until:
                    break
            self._interlude()
            batches = ground.open_batches()
        ground.resume()

    def _interlude(self) -> None:
        """Nobody is alive: leases end, people answer, and the clock may be set back until the next lease ends."""
        ground = self._ground
        ground.faults()
        ground.lease_ends()
        interlude = self._history.interlude()
        answers = [ground.opts_out] * interlude.opt_outs + [ground.comes_back] * interlude.log_ins
        planned = [row for row in ground.ledger() if row["status"] == "planned"]
        for position, answer in zip(self._history.choose(len(answers), len(planned)), answers, strict=False):
            answer(planned[position])
        if interlude.step_back:
            ground.set_clock_back(interlude.step_back)
            ground.counts.ordeals["clock set back between attempts"] += 1

    def _suffer(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        self._ground.counts.ordeals[ordeal.kind] += 1
        if ordeal.trouble is not None:
            self._ground.faults(self._rule(channel, ordeal.trouble, batch_id, probability=ordeal.probability))
        _WAYS[ordeal.kind](self, batch_id, channel, ordeal)
        if ordeal.trouble is not None:
            self._ground.faults()

    def _rule(self, channel: Channel, kind: FaultKind, batch_id: str, **more: object) -> dict[str, object]:
        rule: dict[str, object] = {"kind": kind, "endpoint": SENDING[channel], **more}
        if kind is FaultKind.BAD_RECIPIENT:
            del rule["probability"]
            rule["address"] = self._somebody(channel, batch_id)
        if kind in (FaultKind.SLOW, FaultKind.TIMEOUT_AFTER):
            rule |= {"seconds": _SLOW if kind is FaultKind.SLOW else _SILENT}
        return rule

    def _somebody(self, channel: Channel, batch_id: str) -> str:
        """The address of one of the batch."""
        rows = [row for row in self._ground.ledger() if row["batch_id"] == batch_id and row["status"] == "planned"]
        (position,) = self._history.choose(1, len(rows))
        person = self._ground.people[rows[position]["lead_id"]]
        return str(person.email if channel is Channel.EMAIL else person.phone)

    # --- the ways

    def _simply(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        started = time.monotonic()
        status = self._ground.dispatch(batch_id, channel=channel, fate=ordeal.fate)
        if status == 0 and ordeal.trouble is None:
            self._usual_life = (self._usual_life + time.monotonic() - started) / 2

    def _in_call(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        self._ground.faults(self._rule(channel, FaultKind.SLOW, batch_id, count=1))
        size = self._ground.record_size()
        attempt = self._ground.start(batch_id, channel=channel)
        if self._ground.watch(attempt, lambda: Place.DURING_CALL in attempt.places, "an attempt never called"):
            time.sleep(ordeal.moment * _CALL)
        self._kill(attempt, size)

    def _after_acceptance(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        self._ground.faults(self._rule(channel, FaultKind.TIMEOUT_AFTER, batch_id, count=1))
        size = self._ground.record_size()
        attempt = self._ground.start(batch_id, channel=channel)
        self._accepted_or_over(attempt, size)
        self._kill(attempt, size)

    def _any_time(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        size = self._ground.record_size()
        attempt = self._ground.start(batch_id, channel=channel)
        time.sleep(ordeal.moment * self._usual_life)
        self._kill(attempt, size)

    def _zombie(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        attempt = self._ground.start(batch_id, channel=channel, fate=ordeal.fate)
        if self._ground.freezes(attempt):
            self._others_take_over(batch_id, channel, ordeal)
            os.kill(attempt.pid, signal.SIGCONT)
            self._ground.wait(attempt)

    def _zombie_in_call(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        self._ground.faults(self._rule(channel, FaultKind.TIMEOUT_AFTER, batch_id, count=1))
        size = self._ground.record_size()
        attempt = self._ground.start(batch_id, channel=channel)
        self._accepted_or_over(attempt, size)
        freeze_without(attempt.pid, self._ground.warehouse.path)
        if self._ground.freezes(attempt):
            self._others_take_over(batch_id, channel, ordeal)
            os.kill(attempt.pid, signal.SIGCONT)
            self._ground.wait(attempt)

    def _others_take_over(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        """The lease passes, somebody else does the work, and perhaps the clock then says that it never passed."""
        self._ground.lease_ends()
        self._ground.dispatch(batch_id, channel=channel)
        if ordeal.step_back:
            self._ground.set_clock_back(ordeal.step_back)
            self._ground.counts.ordeals["clock set back beside a zombie"] += 1

    def _twins(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        fates: tuple[Fate | None, ...] = (ordeal.fate, None, None)
        attempts = [self._ground.start(batch_id, channel=channel, fate=fate) for fate in fates]
        for attempt in attempts:
            self._ground.wait(attempt)

    def _locked_out(self, batch_id: str, channel: Channel, ordeal: Ordeal) -> None:
        attempt = self._ground.start(batch_id, channel=channel, fate=ordeal.fate, patience=_LOCKED_FOR)
        if self._ground.freezes(attempt):
            let_go = self._ground.hold_warehouse()
            os.kill(attempt.pid, signal.SIGCONT)
            self._ground.wait(attempt)
            let_go()

    def _accepted_or_over(self, attempt: Attempt, size: int) -> None:
        self._ground.watch(
            attempt,
            lambda: self._ground.record_size() > size,
            "no request was accepted, and the attempt did not end",
        )

    def _kill(self, attempt: Attempt, size: int) -> None:
        os.kill(attempt.pid, signal.SIGKILL)
        self._ground.wait(attempt, accepted_since=size)
        self._ground.faults()


_WAYS: dict[OrdealKind, Callable[[Play, str, Channel, Ordeal], Any]] = {
    OrdealKind.KILLED_AT_BOUNDARY: Play._simply,
    OrdealKind.KILLED_IN_CALL: Play._in_call,
    OrdealKind.KILLED_AFTER_ACCEPTANCE: Play._after_acceptance,
    OrdealKind.KILLED_ANY_TIME: Play._any_time,
    OrdealKind.PROVIDER_TROUBLE: Play._simply,
    OrdealKind.ZOMBIE: Play._zombie,
    OrdealKind.ZOMBIE_IN_CALL: Play._zombie_in_call,
    OrdealKind.TWINS: Play._twins,
    OrdealKind.DISK_FULL: Play._simply,
    OrdealKind.LOCKED_OUT: Play._locked_out,
}
