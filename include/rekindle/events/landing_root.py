"""Where the landing zone is: a folder of this machine, or a prefix of an object store.

Airflow's `ObjectStoragePath` has the methods of a `UPath` and may stand in for one.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.vocabulary import Stream

if TYPE_CHECKING:
    from upath import UPath

LANDING_ROOT_VARIABLE = "REKINDLE_LANDING_ROOT"
SUFFIX = ".jsonl"


def landing_root(location: str | Path) -> Path | UPath:
    """The root that `REKINDLE_LANDING_ROOT` names: a path, `file://…`, or any address fsspec knows (`gs://…`, `s3://…`).

    Raises `ConfigurationError` if what speaks to that store is not installed.
    """
    text = str(location)
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        root = UPath(text)
        protocol = root.fs.protocol
    except (ImportError, ValueError) as error:
        scheme = text.partition("://")[0]
        raise ConfigurationError(
            f"REKINDLE_LANDING_ROOT names a {scheme} store and nothing here speaks to it;"
            f" install fsspec's package for it (s3fs for s3, gcsfs for gs, adlfs for abfs)"
        ) from error
    is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
    return Path(root.path) if is_local else root


def landing_root_from_environment() -> Path | UPath:
    """The root that `REKINDLE_LANDING_ROOT` names, else the folder of the embedded stack."""
    return landing_root(os.environ.get(LANDING_ROOT_VARIABLE) or project_root() / ".rekindle" / "landing")


def landing_name(path: Path | UPath, root: Path | UPath) -> str:
    """What the manifest calls a file: `<stream>/<day>/<file>`."""
    return path.as_posix().removeprefix(root.as_posix().rstrip("/") + "/")


def list_landing_files(root: Path | UPath, since: date | None = None) -> list[Path | UPath]:
    """Every finished file, stream by stream and oldest first; with `since`, of that day's folders and later ones.

    Unfinished `.part` files are not among them.
    """
    if not isinstance(root, Path):
        root.fs.invalidate_cache()  # stores remember their listings, and somebody else writes here
    return [file for day in landing_folders(root, since) for file in _children(day) if file.suffix == SUFFIX]


def landing_folders(root: Path | UPath, since: date | None = None) -> list[Path | UPath]:
    """The folders that hold the files: one for every stream and day, of `since` and later."""
    first = f"{since:%Y-%m-%d}" if since else ""
    return [day for stream in Stream for day in _children(root / stream) if day.name >= first]


def landing_names(folder: Path | UPath) -> list[str]:
    """What everything in a folder is called, in no order; quicker than its paths."""
    if isinstance(folder, Path):
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    return [child.name for child in _children(folder)]


def _children(folder: Path | UPath) -> list[Path | UPath]:
    try:
        return sorted(folder.iterdir(), key=lambda child: child.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
