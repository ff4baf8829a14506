"""What the real dbt says of the real project. One test: to parse the project takes seconds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rekindle.errors import RekindleError
from rekindle.estimate import MeasuredDay, Workload, read_builds
from rekindle.estimate.cost import Sizes
from rekindle.estimate.recording import Verb

#: Of a few rows whatever the list: totals by day and by campaign, and what the campaigns' files say.
FEW = {
    "rekindle_marts.fct_exits_by_day",
    "rekindle_marts.fct_funnel_by_day",
    "rekindle_marts.reactivation_by_campaign",
    "rekindle_marts.reactivation_by_cohort_day",
}


def test_every_table_that_dbt_reads_has_a_size(measured_day: MeasuredDay) -> None:
    builds = read_builds()
    verbs = Counter(statement.verb for statement in builds.statements.elements())
    assert verbs[Verb.MERGE] == 3  # the incremental models
    assert verbs[Verb.SELECT] > 30 and verbs[Verb.INSERT] > 10 and verbs[Verb.DEFINE] > 5
    assert not [statement.name for statement in builds.statements if "__unit_test" in statement.name]
    assert builds.tables["rekindle_activation.sync_cold_leads"] == {"rekindle_marts.fct_cold_scores"}
    sizes = Sizes(Workload(leads=1_000, emails=10, texts=0), measured_day, builds)
    for table in {table for statement in builds.statements for table in statement.tables}:
        if table in FEW or table.startswith("rekindle_seeds.") or table.endswith("__new"):
            assert sizes.rows(table) == 0, table
        else:
            assert sizes.rows(table) > 0 or table in measured_day.rows_per_message, table


def test_a_project_that_dbt_can_not_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(RekindleError, match="could not say what it builds"):
        read_builds(tmp_path)
