"""What is wrong with a campaign, said so that its author can mend it.

ConfigurationError
└── CampaignError
    ├── InvalidCampaign     one or more files can not be used; carries every finding
    └── UnknownStep         a step id that the journey does not have
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rekindle.errors import ConfigurationError


class Level(StrEnum):
    ERROR = "error"  # must not be sent
    WARNING = "warning"  # may be sent; there is a better way


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong, where, and how to mend it."""

    file: str
    line: int
    level: Level
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.message}. {self.advice}"


class CampaignError(ConfigurationError):
    """Base of everything that can be wrong with a campaign."""


class InvalidCampaign(CampaignError):
    """One or more campaign files can not be used. `findings` has them all, in file and line order."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        super().__init__("\n".join(str(finding) for finding in self.findings))


class UnknownStep(CampaignError):
    """A step id that the journey does not have."""

    def __init__(self, campaign_id: str, step_id: str, known: Sequence[str]) -> None:
        super().__init__(f"campaign {campaign_id} has no step `{step_id}`. {did_you_mean(step_id, known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Names the nearest right word, or all of them when none is near."""
    words = list(known)
    nearest = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if nearest:
        return f"Did you mean `{nearest[0]}`?"
    return f"Known here: {', '.join(words)}." if words else ""
