"""What a campaign file gives a DAG, and what a broken one gives instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rekindle.errors import ConfigurationError
from rekindle_airflow.campaign_files import CampaignFile, campaign_files, read_campaign_files
from rekindle_airflow.tasks import campaign as tasks

INCLUDE = Path(__file__).parents[2] / "include"
CAMPAIGN = "cold_lead_reengagement"


@pytest.fixture
def folder(tmp_path):
    """A copy of `include/`, to be spoilt."""
    for name in ("campaigns", "templates"):
        shutil.copytree(INCLUDE / name, tmp_path / "include" / name)
    return tmp_path / "include"


def read(folder):
    return {file.campaign_id: file for file in read_campaign_files(folder / "campaigns", folder / "templates")}


def spoil(folder):
    """Misspell a word; the number of its line."""
    file = folder / "campaigns" / f"{CAMPAIGN}.yaml"
    number = file.read_text().splitlines().index("  re_entry: never") + 1
    file.write_text(file.read_text().replace("  re_entry:", "  reentry:"))
    return number


def test_the_campaigns_of_the_repository_are_whole():
    files = {file.campaign_id: file for file in campaign_files()}
    assert set(files) == {path.stem for path in (INCLUDE / "campaigns").glob("*.yaml")}
    assert not any(file.is_broken for file in files.values())
    assert files[CAMPAIGN].description.startswith("For people who signed up")


def test_a_broken_file_says_where_and_how_to_mend_it(folder):
    number = spoil(folder)
    file = read(folder)[CAMPAIGN]
    assert file.is_broken
    assert file.description.startswith("Broken, sends nothing: ")
    assert f"{CAMPAIGN}.yaml:{number}: error:" in file.description
    assert "re_entry" in file.description


def test_a_broken_file_takes_no_other_with_it(folder):
    shutil.copytree(folder / "templates" / CAMPAIGN, folder / "templates" / "spring")
    shutil.copy(folder / "campaigns" / f"{CAMPAIGN}.yaml", folder / "campaigns" / "spring.yaml")
    before = read(folder)["spring"]
    spoil(folder)
    assert read(folder)["spring"] == before
    assert not before.is_broken


@pytest.mark.parametrize(
    ("name", "campaign_id"),
    [("spring.yaml", "spring"), ("spring.yml", "spring_yml"), ("Spring Sale.yaml", "spring_sale_yaml")],
)
def test_a_file_whose_name_is_no_id_gets_one_that_no_other_file_can_have(folder, name, campaign_id):
    (folder / "campaigns" / name).write_bytes(b"name: \xff")
    file = read(folder)[campaign_id]
    assert isinstance(file, CampaignFile) and file.is_broken
    assert name in file.description


def test_the_first_task_of_a_broken_campaign_fails_with_everything_that_is_wrong(folder, monkeypatch):
    number = spoil(folder)
    monkeypatch.setenv("REKINDLE_PROJECT_ROOT", str(folder.parent))
    with pytest.raises(ConfigurationError, match=f"{CAMPAIGN}.yaml:{number}: error:"):
        tasks.advance_journeys(CAMPAIGN)
