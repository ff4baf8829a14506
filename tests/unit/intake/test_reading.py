"""Files that can not be used at all, and files that are odd but fine."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.errors import BadInputError
from rekindle.intake import Workspace, reading, validate_events, validate_leads

GOOD = "user_id,event_type,occurred_at\n7,log_in,2024-05-01\n"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        # nothing there
        ("events.csv", b"", ["the file is empty (0 bytes)"]),
        ("events.csv", b"\n \n\n", ["only blank lines"]),
        ("events.csv", b"user_id,event_type,occurred_at\n", ["a header but no rows"]),
        ("events.csv", b"user_id,event_type,occurred_at", ["a header but no rows"]),
        # a column is missing
        (
            "events.csv",
            b"user_id,event_type,occured_at\n1,a,2024-01-01\n",
            [
                "missing column `occurred_at`",
                "the file has `user_id`, `event_type`, `occured_at`",
                "`occured_at` → occurred_at",
            ],
        ),
        (
            "events.csv",
            b"Customer ID,event,Timestamp\n1,a,2024-01-01\n",
            ["`Customer ID` → user_id", "`event` → event_type", "`Timestamp` → occurred_at"],
        ),
        ("events.csv", b"user_id,User_ID,event_type,occurred_at\n1,1,a,2024-01-01\n", ["`User_ID` is there twice"]),
        # not a text we read
        ("events.csv", GOOD.encode() + "8,café,2024-05-01\n".encode("latin-1"), ["line 3", "not UTF-8", "Latin-1"]),
        ("events.csv", GOOD.encode() + "é".encode()[:1], ["last character is cut off"]),
        ("events.csv", GOOD.encode("utf-16"), ["UTF-16"]),
        ("events.csv", b"user_id,event_type,occurred_at\n1,\0,2024-01-01\n", ["line 2 holds a NUL byte"]),
        (
            "events.csv",
            b'user_id,event_type,occurred_at\n1,a,2024-01-01\n2,"a,2024-01-01\n3,b,\n',
            ["quote opened on line 3"],
        ),
        ("events.csv", b'"user_id"x,event_type,occurred_at\n', ["the header can not be read"]),
        # not a format we read
        ("events.xlsx", b"PK", ["we do not read `.xlsx`", ".csv, .csv.gz, .parquet"]),
        ("events", b"x", ["without an extension"]),
        ("events.parquet", b"PAR1 this is none", ["can not be read as parquet"]),
        ("events.csv.gz", b"this is none", ["gzip data is damaged"]),
        ("events.csv.gz", gzip.compress(GOOD.encode() * 99, mtime=0)[:-20], ["gzip data is damaged or cut off"]),
    ],
)
def test_a_file_that_can_not_be_used_says_what_is_wrong(workspace, write, name, content, says):
    path = write(content, name)
    with pytest.raises(BadInputError) as caught:
        validate_events(path, workspace=workspace)
    assert str(path) in str(caught.value)
    for words in says:
        assert words in str(caught.value)


def test_a_missing_file_names_the_nearest(workspace, write, tmp_path):
    write(GOOD, "events_2024.csv")
    with pytest.raises(BadInputError, match=r"no such file. Did you mean `events_2024.csv`\?"):
        validate_events(tmp_path / "event_2024.csv", workspace=workspace)
    with pytest.raises(BadInputError, match=r"no such file. Check the path."):
        validate_events(tmp_path / "nowhere" / "log.csv", workspace=workspace)
    with pytest.raises(BadInputError, match="this is a folder"):
        validate_events(tmp_path, workspace=workspace)


def test_a_parquet_file_without_rows_is_empty(workspace, tmp_path):
    columns = {name: pa.array([], pa.string()) for name in ("user_id", "event_type", "occurred_at")}
    pq.write_table(pa.table(columns), tmp_path / "none.parquet")
    with pytest.raises(BadInputError, match="columns but no rows"):
        validate_events(tmp_path / "none.parquet", workspace=workspace)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD.encode(), id="plain"),
        pytest.param(GOOD.strip().encode(), id="no line break at the end"),
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(b'\xef\xbb\xbf"user_id",event_type,occurred_at\n7,log_in,2024-05-01\n', id="mark and quotes"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(GOOD.replace("\n", "\r").encode(), id="CR"),
        pytest.param(GOOD.replace(",", ";").encode(), id="semicolons"),
        pytest.param(GOOD.replace(",", "\t").encode(), id="tabs"),
        pytest.param(GOOD.replace(",", '","').replace("\n", '"\n"').encode()[:-1].join([b'"', b""]), id="all quoted"),
        pytest.param(GOOD.replace("user_id", " User_ID ").encode(), id="case and blanks in the header"),
        pytest.param(GOOD.replace("7,", " 7\u00a0,").encode(), id="blanks around a cell"),
        pytest.param(GOOD.replace("01\n", "01,,\n").encode(), id="empty cells too many"),
    ],
)
def test_an_odd_but_good_file_is_read(workspace, write, content):
    checked = validate_events(write(content), workspace=workspace)
    ((user_id, event_type, occurred_at, source_row),) = checked.rows.project(
        "user_id, event_type, occurred_at, source_row"
    ).fetchall()
    assert (user_id, event_type, occurred_at, source_row) == ("7", "log_in", datetime(2024, 5, 1), 2)


def test_gzip_and_awkward_file_names_are_read(workspace, tmp_path):
    folder = tmp_path / "until=x"
    folder.mkdir()
    path = folder / "events[1]*.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    checked = validate_events(path, workspace=workspace)
    assert checked.counts.source_file == "events[1]*.csv.gz"
    assert checked.rows.project("user_id, source_row").fetchall() == [("7", 2)]


def test_rows_are_named_by_the_line_they_begin_on(workspace, write):
    """Line breaks in cells, blank lines and broken lines move everything below them."""
    text = (
        "user_id,event_type,occurred_at,note\n"
        '1,a,2024-05-01,"two\nlines"\n'  # lines 2 and 3
        "\n"
        "2,a,2024-05-01,\n"  # 5
        "3,a,2024-05-01\n"  # 6: a cell is missing
        '4,"a"b,2024-05-01,\n'  # 7: text after the quote
        "5,a,2024-05-01,x,y\n"  # 8: a cell too many
        "6,a,2024-05-01,\n"  # 9
    )
    checked = validate_events(write(text), workspace=workspace)
    assert checked.rows.order("source_row").project("user_id, source_row").fetchall() == [("1", 2), ("2", 5), ("6", 9)]
    assert checked.rejects.order("source_row").project("source_row, reason, value, record").fetchall() == [
        (6, "wrong_number_of_cells", "3 cells where the header has 4", '{"cells": ["3", "a", "2024-05-01"]}'),
        (7, "broken_quoting", '4,"a"b,2024-05-01,', '{"line": "4,\\"a\\"b,2024-05-01,"}'),
        (8, "wrong_number_of_cells", "5 cells where the header has 4", '{"cells": ["5", "a", "2024-05-01", "x", "y"]}'),
    ]
    assert checked.counts.rows_read == 6


def test_a_hundred_columns_are_kept_in_properties(workspace, write):
    extra = [f"extra {number}" for number in range(97)]
    header = ",".join(["user_id", "event_type", "occurred_at", *extra])
    row = ",".join(["1", "a", "2024-05-01", *(str(number) if number % 2 else "" for number in range(97))])
    checked = validate_events(write(f"{header}\n{row}\n"), workspace=workspace)
    ((kept,),) = checked.rows.project("json_keys(properties)").fetchall()
    assert sorted(kept) == sorted(f"extra {number}" for number in range(97) if number % 2)
    assert len(checked.counts.notices) == 97


def test_a_column_that_is_nearly_ours_is_told(workspace, write):
    checked = validate_leads(write("user_id,timezone,shoe size\n1,America/New_York,44\n"), workspace=workspace)
    assert checked.counts.notices == (
        "column `timezone` is not one of ours and is kept in `properties`; did you mean time_zone?",
        "column `shoe size` is not one of ours and is kept in `properties`",
    )
    assert checked.rows.project("properties").fetchall() == [('{"timezone":"America/New_York","shoe size":"44"}',)]


def test_parquet_of_every_type_is_read(workspace, tmp_path):
    instant = datetime(2024, 5, 1, 8, tzinfo=UTC)
    table = pa.table(
        {
            "user_id": pa.array([1.0, None, 2.5], pa.float64()),
            "event_type": pa.array([b"log_in", b"log_in", b"log_in"], pa.binary()),
            "occurred_at": pa.array([instant] * 3, pa.timestamp("ns", "Europe/Berlin")),
            "properties": pa.array([{"a": 1}, {"a": 2}, None]),
        }
    )
    pq.write_table(table, tmp_path / "typed.parquet")
    checked = validate_events(tmp_path / "typed.parquet", workspace=workspace)
    columns = "user_id, event_type, occurred_at, properties, source_row"
    assert checked.rows.order("source_row").project(columns).fetchall() == [
        ("1", "log_in", instant.replace(tzinfo=None), '{"a":1}', 1),
        ("2.5", "log_in", instant.replace(tzinfo=None), None, 3),
    ]
    assert checked.rejects.project("source_row, reason, column_name").fetchall() == [(2, "empty_value", "user_id")]


def test_every_line_of_a_long_file_keeps_its_number(monkeypatch, workspace, write):
    """DuckDB reads large files in parallel; the order, and so the line numbers, must survive that."""
    monkeypatch.delattr(reading, "_copy_any_csv")
    lines = 400_000
    text = "user_id,event_type,occurred_at,note\n" + "".join(
        f'{line},a,2024-05-01,"{"x" * (line % 90)}"\n' for line in range(2, lines + 2)
    )
    checked = validate_events(write(text), workspace=workspace)
    assert checked.counts.rows_kept == lines
    assert checked.rows.filter("user_id <> cast(source_row as varchar)").fetchall() == []


_CELL = st.text(st.sampled_from('a1é "\n\r,;\u2028'), max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(_CELL, _CELL, _CELL), min_size=1, max_size=5),
    line_break=st.sampled_from(["\n", "\r\n"]),
    quote_all=st.booleans(),
)
def test_the_fast_reader_and_the_careful_reader_agree(monkeypatch, tmp_path, rows, line_break, quote_all):
    """Where DuckDB's own reader is trusted, Python's record-by-record reader finds the same cells on the same lines."""

    def spell(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if quote_all or set(cell) & set('",\n\r') else cell

    path = tmp_path / "any.csv"
    body = [",".join(map(spell, row)) for row in rows]
    path.write_bytes((line_break.join(["user_id,event_type,occurred_at", *body]) + line_break).encode())

    def read() -> tuple[list[tuple[object, ...]], int]:
        with Workspace(tmp_path) as scratch:
            checked = validate_events(path, workspace=scratch)
            return checked.rejects.order("source_row").fetchall(), checked.counts.rows_read

    as_usual = read()
    with monkeypatch.context() as careful:
        careful.setattr(reading, "_copy_plain_csv", lambda *_: None)
        assert read() == as_usual
    assert as_usual[1] == len(rows)


def test_the_workspace_leaves_nothing_behind(tmp_path: Path, write):
    with Workspace(tmp_path) as scratch:
        folder = scratch.folder
        validate_events(write(GOOD), workspace=scratch)
        assert folder.is_dir()
    assert not folder.exists()
    scratch.close()

    forgotten = validate_events(write(GOOD))
    folder = forgotten.workspace.folder
    del forgotten
    assert not folder.exists()
