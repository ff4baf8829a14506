"""Notices that something has landed, without reading it: cheap enough to be asked every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.events.landing_root import SUFFIX, landing_folders, landing_names

if TYPE_CHECKING:
    from upath import UPath

#: How many files a day's folder of a stream holds, and the newest name among them: files come and never go.
_Standing = tuple[int, str]


class ArrivalWatch:
    """Compares the folders of today and yesterday with what they held at the last look.

    The first look finds everything new: whoever watches may have been away. A folder of this machine is listed only
    when its own modification time says that something changed in it, and once more after that, because a file that
    landed within the same tick of the file system's clock leaves that time as it is.
    """

    def __init__(self, root: Path | UPath) -> None:
        self._root = root
        self._standing: dict[str, _Standing] = {}
        self._changed_at: dict[str, tuple[int, bool]] = {}

    def look(self, today: date) -> bool:
        """Whether a finished file is there that was not at the last look. Raises what the store raises."""
        if not isinstance(self._root, Path):
            self._root.fs.invalidate_cache()
        standing = dict(self._look(today))
        is_new = any(self._standing.get(folder) != found for folder, found in standing.items())
        self._standing = standing
        self._changed_at = {folder: seen for folder, seen in self._changed_at.items() if folder in standing}
        return is_new

    def _look(self, today: date) -> Iterator[tuple[str, _Standing]]:
        for folder in landing_folders(self._root, since=today - timedelta(days=1)):
            key = f"{folder.parent.name}/{folder.name}"
            if isinstance(folder, Path) and self._is_settled(folder, key):
                if key in self._standing:
                    yield key, self._standing[key]
                continue
            names = [name for name in landing_names(folder) if name.endswith(SUFFIX)]
            if names:
                yield key, (len(names), max(names))

    def _is_settled(self, folder: Path, key: str) -> bool:
        changed_at = folder.stat().st_mtime_ns
        before, was_listed_again = self._changed_at.get(key, (None, False))
        self._changed_at[key] = (changed_at, changed_at == before)
        return changed_at == before and was_listed_again
