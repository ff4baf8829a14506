"""Airflow imports every .py below `plugins/` by its bare name; `plugins/.airflowignore` keeps ours to ourselves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plugins_folder(tmp_path):
    """A copy of `plugins/` in which somebody named a module like one of the standard library."""
    folder = tmp_path / "plugins"
    shutil.copytree(ROOT / "plugins", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "rekindle_airflow" / "email.py").write_text('"""Not the standard library."""\n')
    return folder


def load(probe, folder):
    return probe("plugins", AIRFLOW__CORE__PLUGINS_FOLDER=str(folder), PYTHONPATH=f"{ROOT / 'include'}:{folder}")


def test_the_plugin_is_registered_and_the_package_is_loaded_once_by_its_full_name(probe):
    found = load(probe, ROOT / "plugins")
    assert found["errors"] == {}
    assert "rekindle" in found["plugins"]
    assert found["modules"]["rekindle_plugin"] == "rekindle_plugin.py"
    strangers = {name for name in found["modules"] if not name.startswith("rekindle")}
    assert strangers == set()
    files = list(found["modules"].values())
    assert len(files) == len(set(files))


def test_a_module_named_like_the_standard_library_does_not_replace_it(probe, plugins_folder):
    found = load(probe, plugins_folder)
    assert found["errors"] == {}
    assert "rekindle" in found["plugins"]
    assert "email" not in found["modules"]


def test_without_the_ignore_file_it_would(probe, plugins_folder):
    # proves that the test above can fail, and that the file is still needed
    (plugins_folder / ".airflowignore").unlink()
    found = load(probe, plugins_folder)
    assert found["modules"]["email"] == "rekindle_airflow/email.py"
    assert found["modules"]["run_context"] == found["modules"]["rekindle_airflow.run_context"]
