"""What software calls itself, and the link that only software follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.events.bots import HONEYPOT_FRAGMENT, honeypot_of, is_honeypot, is_software
from rekindle.tokens import destination_fault


@pytest.mark.parametrize(
    "user_agent",
    [
        *("", " ", "Googlebot/2.1", "curl/8.5.0", "Barracuda Sentinel (EE)", "Microsoft Office/16.0 (MSOffice 16)"),
        *("Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "facebookexternalhit/1.1", "HeadlessChrome/120"),
    ],
)
def test_software_says_so(user_agent: str) -> None:
    assert is_software(user_agent)


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Mobile/15E148 Safari",
        "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 30) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36",
    ],
)
def test_a_browser_is_a_person(user_agent: str) -> None:
    assert not is_software(user_agent)


@given(st.sampled_from(["https://app.example/", "https://app.example/a?b=c#d", "http://127.0.0.1:8290/healthz"]))
def test_the_invisible_link_leads_home_and_is_known_again(destination: str) -> None:
    hidden = honeypot_of(destination)
    assert is_honeypot(hidden)
    assert not is_honeypot(destination)
    assert hidden.partition("#")[0] == destination.partition("#")[0]
    assert destination_fault(hidden) is None
    assert honeypot_of(hidden) == hidden


def test_the_model_looks_for_the_same_ending(pytestconfig: pytest.Config) -> None:
    macro = (pytestconfig.rootpath / "dbt_project" / "macros" / "engagement_rules.sql").read_text()
    assert f"'#{HONEYPOT_FRAGMENT}'" in macro
