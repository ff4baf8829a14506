"""Every relative link of every page leads somewhere, anchors included."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
HIDDEN_FOLDERS = {".venv", ".git", ".rekindle", ".pytest_cache", ".hypothesis", ".ruff_cache", ".mypy_cache"}


def pages() -> list[Path]:
    """Every Markdown page of the repository: what git would keep, or all there is where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        found = [ROOT / name for name in listed.stdout.splitlines()]
    else:
        found = [path for path in ROOT.rglob("*.md") if not HIDDEN_FOLDERS.intersection(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.exists())


def links_of(page: Path) -> list[str]:
    prose = INLINE_CODE.sub("", FENCED.sub("", page.read_text(encoding="utf-8")))
    found = [first or second for first, second in LINK.findall(prose)]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors_of(page: Path) -> set[str]:
    """The ids GitHub gives to headings: lower case, punctuation dropped, blanks to hyphens."""
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages() -> None:
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {
        path.relative_to(ROOT).as_posix() for path in pages()
    }


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(ROOT):
            broken.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target):
            broken.append(f"{link}: no such heading")
    assert broken == []


def test_the_reader_of_links_sees_what_it_should(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A "b", c!\n[x](a.md#b) ![y](i/p.png) `[no](no.md)` <img width="2" src="q.png">\n```\n[n](n.md)\n```\n'
    )
    assert links_of(page) == ["a.md#b", "i/p.png", "q.png"]
    assert anchors_of(page) == {"a-b-c"}
