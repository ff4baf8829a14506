"""Grounds to be killed on: see `rekindle.chaos.ground`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rekindle.chaos.checker import Findings, check
from rekindle.chaos.ground import Ground, build_empty_ground
from rekindle.chaos.room import ProcessRoom


@pytest.fixture(scope="session")
def room() -> Iterator[ProcessRoom]:
    with ProcessRoom(import_from=[Path(__file__).parent]) as started:
        yield started


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty warehouse to copy: migrating takes longer than an attempt."""
    return build_empty_ground(tmp_path_factory.mktemp("chaos") / "template.duckdb")


@pytest.fixture
def new_ground(room: ProcessRoom, template: Path, tmp_path: Path) -> Iterator[Callable[..., Ground]]:
    """Makes grounds, each in a folder of its own."""
    made: list[Ground] = []

    def make(**words: Any) -> Ground:
        made.append(Ground(tmp_path / f"ground-{len(made)}", template, room, **words))
        return made[-1]

    yield make
    for ground in made:
        ground.close()


@pytest.fixture
def ground(new_ground: Callable[..., Ground]) -> Ground:
    return new_ground()


@pytest.fixture
def verdict() -> Callable[[Ground], Findings]:
    """Lets a story end and judges it: every promise must have been kept."""

    def judge(ground: Ground) -> Findings:
        ground.resume()
        ground.settle()
        findings = check(ground.evidence())
        assert findings.hold, (findings, ground.log())
        return findings

    return judge
