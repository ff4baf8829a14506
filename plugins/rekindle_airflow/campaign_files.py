"""The campaigns to make DAGs of."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rekindle.campaigns.models import Campaign


@cache
def campaign_files() -> tuple[Campaign, ...]:
    """Every campaign in `include/campaigns/`, validated; a broken file is an import error in the UI that names file
    and line.
    """
    from rekindle.campaigns.loader import load_campaigns
    from rekindle.project import project_root

    root = project_root() / "include"
    return tuple(load_campaigns(root / "campaigns", root / "templates"))
