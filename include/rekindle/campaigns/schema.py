"""The JSON schema of a campaign file, for editors that complete and check YAML while it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rekindle.campaigns.definition import CampaignDefinition

SCHEMA_FILE_NAME = "campaign.schema.json"


def campaign_schema() -> dict[str, Any]:
    """The schema as a mapping (JSON Schema 2020-12)."""
    schema = CampaignDefinition.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Rekindle campaign"}


def write_schema(folder: Path) -> Path:
    """Write `campaign.schema.json` into a folder, the same bytes every time."""
    path = folder / SCHEMA_FILE_NAME
    path.write_text(json.dumps(campaign_schema(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path
