"""What every engine must do alike, through its own client: one body, three warehouses."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from rekindle.identity import address_hash, stable_id

AWARE = datetime(2026, 1, 12, 18, 4, 5, 678901, tzinfo=UTC)
TEXTS = ["plain", "it's", 'say "so"', "back\\slash\\n", "line\nbreak", "Zoë 🦉 ß", "100% ?", "$name @name", "", " "]


@pytest.fixture
def marked():
    """A campaign of this test's own: the warehouse is shared by all of them."""
    return f"campaign-{uuid.uuid4().hex}"


def erasure(lead_id, requested_at=AWARE, erased_at=None, requested_by="test"):
    return {
        "lead_id": lead_id,
        "requested_at": requested_at,
        "erased_at": erased_at,
        "requested_by": requested_by,
    }


def erasures(warehouse, requested_by):
    with warehouse.transaction() as transaction:
        return transaction.query(
            "select * from rekindle_state.erasures where requested_by = $requested_by order by lead_id",
            requested_by=requested_by,
        )


def test_texts_come_back_as_they_went_in(warehouse, marked):
    rows = [erasure(f"{number:02d}{text}", requested_by=marked) for number, text in enumerate(TEXTS)]
    with warehouse.transaction() as transaction:
        assert transaction.insert("rekindle_state.erasures", rows) == len(TEXTS)
    assert erasures(warehouse, marked) == rows


@pytest.mark.parametrize("text", TEXTS)
def test_a_bound_text_is_compared_as_it_is(warehouse, marked, text):
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [erasure(text, requested_by=marked)])
        (row,) = transaction.query(
            "select lead_id = $lead_id as is_same from rekindle_state.erasures where requested_by = $requested_by",
            lead_id=text,
            requested_by=marked,
        )
        assert row == {"is_same": True}


def test_instants_are_aware_utc_to_the_microsecond_and_nulls_stay(warehouse, marked):
    elsewhere = AWARE.astimezone(timezone(timedelta(hours=-8)))
    with warehouse.transaction() as transaction:
        transaction.insert(
            "rekindle_state.erasures",
            [
                erasure("a", elsewhere, requested_by=marked),
                erasure("b", AWARE, AWARE + timedelta(days=1), requested_by=marked),
            ],
        )
    first, second = erasures(warehouse, marked)
    assert first["requested_at"] == AWARE and first["requested_at"].utcoffset() == timedelta(0)
    assert first["erased_at"] is None and second["erased_at"] == AWARE + timedelta(days=1)


def test_a_transaction_that_fails_leaves_nothing(warehouse, marked):
    with pytest.raises(ZeroDivisionError), warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [erasure("gone", requested_by=marked)])
        1 / 0  # noqa: B018 - the failure
    assert erasures(warehouse, marked) == []


def test_a_statement_that_fails_takes_back_what_came_before_it(warehouse, marked):
    with pytest.raises(Exception, match=r"(?i)no_such_table"), warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [erasure("gone", requested_by=marked)])
        transaction.query("select * from rekindle_state.no_such_table")
    assert erasures(warehouse, marked) == []


def test_nobody_sees_what_is_not_committed(warehouse, marked):
    if warehouse.dialect.name == "duckdb":
        return  # one process has the file, and one transaction at a time is what it is for
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [erasure("not yet", requested_by=marked)])
        assert erasures(warehouse, marked) == []
    assert [row["lead_id"] for row in erasures(warehouse, marked)] == ["not yet"]


def test_statements_tell_how_many_rows_they_wrote(warehouse, marked):
    run = {"activity": "test", "campaign_id": marked, "as_of": AWARE, "run_id": "r", "counts": "{}"}
    with warehouse.transaction() as transaction:
        assert transaction.execute("audit/insert_run", **run) == 1
        assert transaction.execute("audit/insert_run", **run) == 0
    with warehouse.transaction() as transaction:
        assert transaction.fetch("audit/fetch_watermark", activity="test", campaign_id=marked) == [
            {"newest_as_of": AWARE}
        ]
        nothing = transaction.fetch("audit/fetch_watermark", activity="test", campaign_id="nobody's")
        assert nothing == [{"newest_as_of": None}]


def test_updates_and_deletes_are_counted_too(warehouse, marked):
    chunk = [
        {"attempt_id": marked, "message_id": str(number), "body_hash": "h", "segments": number} for number in range(7)
    ]
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.attempt_chunks", chunk)
        assert transaction.execute("dispatch/delete_attempt_chunk", attempt_id=marked) == 7
        assert transaction.execute("dispatch/delete_attempt_chunk", attempt_id=marked) == 0


def test_an_arrow_table_is_appended_by_name(warehouse, marked):
    rows = pa.table(
        {
            "requested_by": [marked, marked],
            "lead_id": ["a", "it's"],
            "erased_at": pa.array([None, AWARE.replace(tzinfo=None)], pa.timestamp("us")),
            "requested_at": pa.array([AWARE, AWARE], pa.timestamp("us", "UTC")),
        }
    )
    with warehouse.transaction() as transaction:
        assert transaction.insert_table("rekindle_state.erasures", rows) == 2
        assert transaction.insert_table("rekindle_state.erasures", rows.slice(0, 0)) == 0
    assert erasures(warehouse, marked) == [
        erasure("a", requested_by=marked),
        erasure("it's", AWARE, AWARE, requested_by=marked),
    ]


def test_a_large_arrow_table_goes_by_a_file_and_inside_the_transaction(warehouse, marked):
    size = 6_000
    rows = pa.table(
        {
            "event_id": [f"{marked}{number}" for number in range(size)],
            "user_id": ["u"] * size,
            "event_type": ["log_in"] * size,
            "occurred_at": pa.array([AWARE + timedelta(seconds=number) for number in range(size)]),
            "properties": pa.array([None, "{}"] * (size // 2), pa.string()),
            "is_made_up": [True] * size,
            "source_file": [marked] * size,
            "source_row": list(range(size)),
            "loaded_at": pa.array([AWARE.replace(tzinfo=None)] * size, pa.timestamp("us")),
        }
    )
    counted = (
        "select count(*) as rows_there, sum(source_row) as total, max(occurred_at) as latest, min(loaded_at) as loaded,"
        " count(properties) as described from rekindle_raw.events where source_file = $source_file"
    )
    with pytest.raises(ZeroDivisionError), warehouse.transaction() as transaction:
        transaction.insert_table("rekindle_raw.events", rows)
        1 / 0  # noqa: B018 - the failure
    with warehouse.transaction() as transaction:
        assert transaction.query(counted, source_file=marked)[0]["rows_there"] == 0
        assert transaction.insert_table("rekindle_raw.events", rows) == size
    with warehouse.transaction() as transaction:
        assert transaction.query(counted, source_file=marked) == [
            {
                "rows_there": size,
                "total": size * (size - 1) // 2,
                "latest": AWARE + timedelta(seconds=size - 1),
                "loaded": AWARE,
                "described": size // 2,
            }
        ]


def test_ids_and_hashes_are_those_of_identity(warehouse):
    words = warehouse.dialect.context()
    parts = ("cold_lead_reengagement", "lead'ü\\1", "2026-01-12")
    listed = ["$campaign_id", "$lead_id", "$step_id"]
    digest = words["stable_id_digest"](*listed)
    with warehouse.transaction() as transaction:
        (row,) = transaction.query(
            f"select {words['uuid_of_digest']('digest')} as id from (select {digest} as digest) as made",
            campaign_id=parts[0],
            lead_id=parts[1],
            step_id=parts[2],
        )
        (hashed,) = transaction.query(
            f"select {warehouse.dialect.sha256_hex.format(expression='$address')} as hashed", address="zoë@mail.example"
        )
    assert row["id"] == stable_id(*parts)
    assert hashed["hashed"] == address_hash("zoë@mail.example")


def test_draws_days_and_instants_are_the_same_everywhere(warehouse):
    words = warehouse.dialect.context()
    asked = {
        "draw": words["hash_fraction"]("$salt || '|' || $lead_id"),
        "later": words["add_seconds"]("$as_of", "-86400"),
        "days": words["days_between"]("$as_of", "$until"),
        "whole": words["instant_text"]("$as_of"),
        "fine": words["instant_text"]("$until"),
        "tenths": words["tenths_text"]("$holdout_share"),
        "round": words["tenths_text"]("$audience_1_number"),
        "found": words["position"]("':'", "$lead_id"),
        "missing": words["position"]("'#'", "$lead_id"),
    }
    sql = "select " + ", ".join(f"{expression} as {name}" for name, expression in asked.items())
    with warehouse.transaction() as transaction:
        (row,) = transaction.query(
            sql,
            salt="salt",
            lead_id="lead:1",
            holdout_share=60.25,
            audience_1_number=62.0,
            as_of=datetime(2026, 1, 12, 18, tzinfo=UTC),
            until=datetime(2026, 1, 14, 6, 0, 0, 250000, tzinfo=UTC),
        )
    assert row == {
        "draw": int(address_hash("salt|lead:1")[:8], 16) / 2**32,
        "later": datetime(2026, 1, 11, 18, tzinfo=UTC),
        "days": pytest.approx(1.5, abs=1e-5),
        "whole": "2026-01-12 18:00:00",
        "fine": "2026-01-14 06:00:00.25",
        "tenths": "60.3",
        "round": "62.0",
        "found": 5,
        "missing": 0,
    }


def test_a_null_has_the_kind_of_its_name(warehouse):
    with warehouse.transaction() as transaction:
        (row,) = transaction.query(
            "select coalesce($reason, 'none') as reason, coalesce($since, $now) as since,"
            " coalesce($batch_size, 3) as size, coalesce($cohort_date, $may_re_enter_on) as day",
            reason=None,
            since=None,
            now=AWARE,
            batch_size=None,
            cohort_date=None,
            may_re_enter_on=date(2026, 1, 12),
        )
    assert row == {"reason": "none", "since": AWARE, "size": 3, "day": date(2026, 1, 12)}
