"""A mapping that can not be used is refused by file, line and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from rekindle.errors import ConfigurationError
from rekindle.intake.mapping import check_mapping

EXAMPLES = sorted((Path(__file__).parents[3] / "dbt_project" / "mappings").glob("*.yml"))
TRACKS = ("id", "user_id", "event", "timestamp", "uuid_ts")


def columns_of(schema: str, table: str) -> tuple[str, ...] | None:
    return TRACKS if (schema, table) == ("segment", "tracks") else None


@pytest.fixture
def complain(tmp_path):
    """The complaints about a mapping, without the file's name."""

    def check(text: str, **options: object) -> list[str]:
        path = tmp_path / "mapping.yml"
        path.write_text(text)
        return [str(each).removeprefix(f"{path}:") for each in check_mapping(path, **options)]

    return check


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_delivered_mappings_are_good_and_so_is_none(path):
    assert len(EXAMPLES) == 4
    assert check_mapping(path) == []
    assert check_mapping(path.parents[1] / "dbt_project.yml", columns_of) == []


def test_a_missing_column_is_named_with_its_row_and_the_nearest_right_one(complain):
    text = """
vars:
  rekindle__mapping:
    events:
      schema: segment
      table: tracks
      columns:
        user_id: user_id
        event_type: evnt
        occurred_at: {column: time_stamp, unit: seconds}
"""
    assert complain(text) == []
    assert complain(text, columns_of=columns_of) == [
        "9: error: events.columns.event_type: segment.tracks has no column `evnt`; did you mean `event`?",
        "10: error: events.columns.occurred_at: segment.tracks has no column `time_stamp`; did you mean `timestamp`?",
    ]
    absent = text.replace("table: tracks", "table: trax")
    assert complain(absent, columns_of=columns_of) == [
        "4: error: events: there is no table segment.trax, or it may not be read"
    ]


def test_words_that_are_not_ours_and_rows_that_are_missing(complain):
    text = """rekindle__mapping:
  event: {}
  events:
    tabel: tracks
    columns:
      user_id:
      event_typ: event
      occurred_at: {column: at, unit: minutes}
"""
    told = complain(text)
    assert [line.split(": ", 3)[2] for line in told] == [
        "event", "events.columns.event_type", "events.tabel", "events.columns.user_id", "events.columns.event_typ",
        "events.columns.occurred_at",
    ]  # fmt: skip
    assert told[0] == "2: error: event: is no table of ours; did you mean `events`?"
    assert told[1].endswith("is missing; say which column of your table it is")
    assert told[3].endswith("is blank; name a column or take the row out")
    assert "unit: seconds|milliseconds|microseconds" in told[5]


def test_a_file_that_is_not_yaml(tmp_path):
    path = tmp_path / "mapping.yml"
    path.write_text("rekindle__mapping: [")
    with pytest.raises(ConfigurationError, match="can not be read as YAML"):
        check_mapping(path)
