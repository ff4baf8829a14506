"""What BI may rely on: every mart with every column and its type, as dbt enforces them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml


def promised(column: dict[str, object]) -> str:
    """The type as the page spells it; the float type is a Jinja switch between the warehouses."""
    kind = str(column["data_type"])
    return "double" if "float64" in kind else kind


def test_the_page_names_every_mart_and_column(
    repository: Path, documented_tables: Callable[[str], dict[str, dict[str, str]]]
) -> None:
    marts = {
        model["name"]: {column["name"]: promised(column) for column in model["columns"]}
        for page in (repository / "dbt_project" / "models" / "marts").rglob("*.yml")
        for model in yaml.safe_load(page.read_text())["models"]
    }
    told = {
        name: {column: kind.removesuffix(", null") for column, kind in columns.items()}
        for name, columns in documented_tables("bi_contract.md").items()
        if name != "BI contract"
    }
    assert len(marts) > 5
    assert told == marts


def test_the_overview_names_every_mart(
    repository: Path, documented_tables: Callable[[str], dict[str, dict[str, str]]]
) -> None:
    models = {path.stem for path in (repository / "dbt_project" / "models" / "marts").rglob("*.sql")}
    assert set(documented_tables("bi_contract.md")["BI contract"]) == models
