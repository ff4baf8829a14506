"""Whatever somebody types, the answer is a campaign or findings with lines, never a traceback."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rekindle.campaigns.findings import InvalidCampaign
from rekindle.campaigns.lint import lint_campaigns
from rekindle.campaigns.loader import load_campaign

INCLUDE = Path(__file__).parents[3] / "include"
SHIPPED = (INCLUDE / "campaigns" / "cold_lead_reengagement.yaml").read_text()

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.dates(),
        st.sampled_from(["72h", "archived", "probe.txt.j2", "mon", "08:00-20:00", "{{ x", "sync_a", "never"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "email", "sms", "wait", "end", "template", "a"]), inner, max_size=3),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "campaigns").mkdir()
    return folder


def read(desk: Path, text: str) -> None:
    path = desk / "campaigns" / "cold_lead_reengagement.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_campaign(path, INCLUDE / "templates")
    except InvalidCampaign as error:
        assert error.findings
        lines = max(1, len(text.splitlines()))
        assert all(1 <= each.line <= lines + 1 for each in error.findings if each.file == str(path))
        assert all(each.message and each.advice for each in error.findings)
    lint_campaigns(desk / "campaigns", INCLUDE / "templates")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(), text=st.text(max_size=6))
def test_any_slip_of_the_keyboard(desk: Path, seed: int, text: str) -> None:
    chance = random.Random(seed)
    start = chance.randrange(len(SHIPPED))
    read(desk, SHIPPED[:start] + text + SHIPPED[start + chance.randrange(12) :])


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(), value=values)
def test_any_value_anywhere(desk: Path, seed: int, value: Any) -> None:
    chance = random.Random(seed)
    content = copy.deepcopy(yaml.safe_load(SHIPPED))
    place: Any = content
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], (dict, list)) or not place[key] or chance.random() < 0.3:
            break
        place = place[key]
    place[key] = value
    read(desk, yaml.safe_dump(content, allow_unicode=True))
