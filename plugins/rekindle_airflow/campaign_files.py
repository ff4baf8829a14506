"""The campaigns to make DAGs of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FORBIDDEN = re.compile(r"[^a-z0-9_]+")

#: The activation models that the DAG `refresh` makes current between two scorings: those tagged `hourly` in dbt.
HOURLY_MODELS = frozenset({"sync_abandoned_carts", "sync_pricing_viewers", "sync_new_leads", "sync_inbound_signals"})


@dataclass(frozen=True)
class CampaignFile:
    """One file of `include/campaigns/`: what its DAG is called and says of itself."""

    campaign_id: str
    description: str
    is_broken: bool = False
    is_hourly: bool = False  # enters from one of `HOURLY_MODELS`


@cache
def campaign_files() -> tuple[CampaignFile, ...]:
    """Every campaign file, broken ones too.

    A broken file keeps its DAG: the description says what is wrong in which line, the first task of every run fails
    with all of it and nothing is sent, and the other campaigns go on. An import error instead would stop them all,
    because they come from one DAG file.
    """
    from rekindle.project import project_root

    root = project_root() / "include"
    return read_campaign_files(root / "campaigns", root / "templates")


def read_campaign_files(folder: Path, templates_root: Path) -> tuple[CampaignFile, ...]:
    """As `campaign_files`, of any folder."""
    from rekindle.campaigns.loader import load_each
    from rekindle.campaigns.models import Campaign

    return tuple(
        CampaignFile(found.campaign_id, found.description, is_hourly=found.enter.model in HOURLY_MODELS)
        if isinstance(found, Campaign)
        else CampaignFile(_id_of_broken(path), f"Broken, sends nothing: {found.findings[0]}", is_broken=True)
        for path, found in load_each(folder, templates_root)
    )


def _id_of_broken(path: Path) -> str:
    """The file's own id, so that the DAG keeps its history; of a name that is no id, one made from the whole name."""
    is_id = path.suffix == ".yaml" and not _FORBIDDEN.search(path.stem)
    return path.stem if is_id else _FORBIDDEN.sub("_", path.name.lower())
