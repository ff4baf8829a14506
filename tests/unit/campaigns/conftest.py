"""A folder with one good campaign, to be spoiled by each test in one way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD_CAMPAIGN = """\
name: Test campaign
owner: growth@example.com
enter:
  activation_model: sync_cold_leads
holdout:
  share: 0.10
  salt: "test"
sender:
  name: Mara
steps:
  - id: probe
    email:
      template: probe.txt.j2
      subject: "A question, {{ first_name | default('friend') }}"
  - id: listen
    wait: 72h
  - id: nudge
    sms:
      template: nudge.txt.j2
      max_segments: 2
  - id: listen_again
    wait: 7d
  - id: archive
    end: archived
"""
GOOD_EMAIL = """\
Hi {{ first_name | default('there') }}, your {{ plan | default('old') }} plan waits:
{{ tracked_link }}

Stop it here: {{ unsubscribe_link }}
{{ company_name }}, {{ postal_address }}
"""
GOOD_SMS = "{{ company_name }}: your {{ plan | default('old') }} plan waits: {{ tracked_link }} Reply STOP to opt out\n"

Spoil = Callable[..., Path]


@pytest.fixture
def campaign_folder(tmp_path: Path) -> Path:
    """`<folder>/spring.yaml` and, beside it, `templates/spring/`."""
    templates = tmp_path / "templates" / "spring"
    templates.mkdir(parents=True)
    (templates / "probe.txt.j2").write_text(GOOD_EMAIL)
    (templates / "nudge.txt.j2").write_text(GOOD_SMS)
    (tmp_path / "spring.yaml").write_text(GOOD_CAMPAIGN)
    return tmp_path


@pytest.fixture
def spoil(campaign_folder: Path) -> Spoil:
    """Replace a text, which must be there once, in the campaign file or a template; returns the file."""

    def replace(old: str, new: str, file: str = "spring.yaml") -> Path:
        path = campaign_folder / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        return path

    return replace
