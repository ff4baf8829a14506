"""Bad campaign files, one kind each: the error names the file, the line, what is wrong and how to mend it.

`bad_yaml/<kind>.yaml` is the file, `bad_yaml/<kind>.txt` what is said of it, to the letter.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rekindle.campaigns.lint import lint_campaigns

BAD = Path(__file__).parent / "bad_yaml"
KINDS = sorted(path.stem for path in BAD.glob("*.yaml"))
TEMPLATES = {
    "probe.txt.j2": """\
Hi {{ first_name | default('there') }}, your {{ plan | default('old') }} plan waits, {{ offer_code }}:
{{ tracked_link }}

Stop it here: {{ unsubscribe_link }}
{{ company_name }}, {{ postal_address }}
""",
    "question.txt.j2": "{{ company_name }}: is your {{ plan | default('old') }} plan enough? YES or NO. STOP ends it",
}


def said_of(folder: Path) -> str:
    """What lint says, one finding a line, with the folder left out."""
    return "".join(f"{each}\n" for each in lint_campaigns(folder, folder / "templates")).replace(f"{folder}/", "")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the templates of the campaign `spring`, and no campaign."""
    folder = tmp_path / "templates" / "spring"
    folder.mkdir(parents=True)
    for name, text in TEMPLATES.items():
        (folder / name).write_text(text)
    return tmp_path


def test_there_are_more_than_thirty_kinds() -> None:
    assert len({kind[3:] for kind in KINDS}) == len(KINDS) > 30
    assert [path.stem for path in sorted(BAD.glob("*.txt"))] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_is_told_in_full(desk: Path, kind: str) -> None:
    shutil.copy(BAD / f"{kind}.yaml", desk / "spring.yaml")
    said = said_of(desk)
    assert said == (BAD / f"{kind}.txt").read_text()
    for line in said.splitlines():  # file, line, what is wrong, and a sentence that says how to mend it
        assert re.fullmatch(r"\S+:\d+: (error|warning): [^\n]+[.?] \S[^\n]*[.?!]", line), line
