"""The JSON schema says to editors what the loader says to everybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from rekindle.campaigns.definition import CampaignDefinition
from rekindle.campaigns.durations import format_duration, parse_duration
from rekindle.campaigns.schema import SCHEMA_FILE_NAME, campaign_schema, write_schema

jsonschema = pytest.importorskip("jsonschema")
CAMPAIGNS = Path(__file__).parents[3] / "include" / "campaigns"


def test_the_committed_schema_is_current(tmp_path: Path) -> None:
    assert (CAMPAIGNS / SCHEMA_FILE_NAME).read_text() == write_schema(tmp_path).read_text()


def test_every_word_is_explained() -> None:
    schema = campaign_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, word in part.get("properties", {}).items():
            is_explained = "description" in word or "$ref" in word or "$ref" in json.dumps(word)
            assert is_explained or name in ("wait", "end"), name


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        ({}, True),
        ({"colour": "red"}, False),
        ({"priority": "high"}, False),
        ({"enter": {"activation_model": "leads"}}, False),
        ({"enter": {"activation_model": "sync_leads", "re_entry": {"after_days": 90}}}, True),
        ({"enter": {"activation_model": "sync_leads", "re_entry": "sometimes"}}, False),
        ({"steps": [{"id": "a", "end": "archived"}]}, True),
        ({"steps": [{"id": "a", "wait": "72 hours"}]}, False),
        ({"steps": [{"id": "a", "email": {"template": "a.txt.j2"}}]}, False),
        ({"steps": [{"id": "A b", "wait": "72h"}]}, False),
    ],
)
def test_schema_and_loader_agree(change: dict[str, object], is_valid: bool) -> None:
    content = yaml.safe_load((CAMPAIGNS / "cold_lead_reengagement.yaml").read_text()) | change
    validator = jsonschema.Draft202012Validator(campaign_schema())
    assert validator.is_valid(content) is is_valid
    try:
        CampaignDefinition.model_validate(content)
    except ValueError:
        assert not is_valid
    else:
        assert is_valid


@pytest.mark.parametrize(
    ("text", "canonical"), [("72h", "3d"), ("90m", "90m"), ("2w", "14d"), ("120m", "2h"), ("7d", "7d")]
)
def test_durations_have_one_spelling(text: str, canonical: str) -> None:
    assert format_duration(parse_duration(text)) == canonical
    assert parse_duration(canonical) == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["0m", "1.5h", "72", "h", "-3d", "72 h", "72H", "367d", "99999999999999999999d", "3d4h", "٣d"]
)
def test_impossible_durations(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)
