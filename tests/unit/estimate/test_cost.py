"""From counted statements to money: linear where days are, and by each seller's own rules of billing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rekindle.cli import app
from rekindle.errors import BadInputError
from rekindle.estimate import Builds, MeasuredDay, Workload, estimate
from rekindle.estimate.cost import LEAST_BYTES, TIB
from rekindle.estimate.page import assumptions, estimate_json
from rekindle.estimate.prices import PRICES_FILE, load_prices
from rekindle.vocabulary import Channel

DAY = Workload(leads=100_000, emails=26_000, texts=1_500)
NO_BUILDS = Builds({}, frozenset())


def months(workload: Workload, day: MeasuredDay) -> dict[str, float]:
    return {cost.what: cost.money for cost in estimate(workload, day, NO_BUILDS, load_prices()).warehouse}


def test_the_day_is_counted_and_not_typed_in(measured_day: MeasuredDay) -> None:
    names = {statement.name for statement in measured_day.fixed}
    assert {"cohort/insert_entries", "plan/insert_messages", "journey/fold_transitions"} <= names
    for channel in Channel:
        per_batch = {statement.name: count for statement, count in measured_day.per_batch[channel].items()}
        per_chunk = {statement.name: count for statement, count in measured_day.per_chunk[channel].items()}
        assert per_batch["dispatch/claim_messages"] == per_batch["dispatch/release_claims"] == 1
        assert per_chunk["dispatch/mark_attempting"] == per_chunk["load rekindle_state.attempt_chunks"] == 1
    assert measured_day.rows_per_message["rekindle_state.messages"] == 1
    assert measured_day.rows_per_message["rekindle_state.journey_transitions"] >= 2


def test_nothing_that_came_asks_little_and_something_more(measured_day: MeasuredDay) -> None:
    assert [statement.name for statement in measured_day.quiet] == ["ingest/list_loaded_files"]
    assert "ingest/insert_message_events" in {statement.name for statement in measured_day.listening}


def test_batches_and_chunks_are_those_of_the_senders() -> None:
    assert DAY.batches() == {Channel.EMAIL: 3, Channel.SMS: 2}
    assert DAY.chunks() == {Channel.EMAIL: 9, Channel.SMS: 15}
    nobody = replace(DAY, emails=0, texts=0)
    assert set(nobody.batches().values()) | set(nobody.chunks().values()) == {0}


def test_statements_grow_by_batches_and_chunks_and_nothing_else(measured_day: MeasuredDay) -> None:
    def total(workload: Workload) -> int:
        return estimate(workload, measured_day, NO_BUILDS, load_prices()).statements.total()

    batch = measured_day.per_batch[Channel.EMAIL].total()
    chunk = measured_day.per_chunk[Channel.EMAIL].total()
    assert total(replace(DAY, emails=27_001)) == total(DAY) + chunk  # second chunk of the third batch
    assert total(replace(DAY, emails=36_001)) == total(DAY) + batch + 4 * chunk
    assert total(replace(DAY, leads=10 * DAY.leads)) == total(DAY)


def test_on_demand_lies_between_the_minimum_and_everything(measured_day: MeasuredDay) -> None:
    found = months(DAY, measured_day)
    assert found["BigQuery on demand, at least"] < found["BigQuery on demand, at most"]
    more = months(replace(DAY, leads=10 * DAY.leads, days_kept=3 * DAY.days_kept), measured_day)
    assert more["BigQuery on demand, at least"] == found["BigQuery on demand, at least"]
    assert more["BigQuery on demand, at most"] > 2 * found["BigQuery on demand, at most"]


def test_the_least_is_ten_megabytes_a_table(measured_day: MeasuredDay) -> None:
    silent = replace(DAY, listens_a_day=0)
    found = estimate(silent, measured_day, NO_BUILDS, load_prices())
    tables = sum(
        max(len(statement.tables), 1) * count for statement, count in found.statements.items() if not statement.is_load
    )
    (least,) = [cost for cost in found.warehouse if cost.what == "BigQuery on demand, at least"]
    assert math.isclose(least.tick, tables * LEAST_BYTES / TIB)
    assert math.isclose(least.money, least.tick * 30 * load_prices()["bigquery_on_demand"].amount)


def test_a_warehouse_that_is_asked_too_often_never_sleeps_and_costs_a_day_at_most(measured_day: MeasuredDay) -> None:
    wide_awake = replace(DAY, listens_a_day=1_440, suspend_after_seconds=300)
    credits = {cost.what: cost for cost in estimate(wide_awake, measured_day, NO_BUILDS, load_prices()).warehouse}
    assert math.isclose(credits["Snowflake Standard, XSMALL"].month, 24 * 30)
    bigger = estimate(replace(wide_awake, warehouse_size="MEDIUM"), measured_day, NO_BUILDS, load_prices()).warehouse
    assert math.isclose(next(cost for cost in bigger if cost.what == "Snowflake Standard, MEDIUM").month, 4 * 24 * 30)


def test_an_awakening_is_billed_a_minute_at_least(measured_day: MeasuredDay) -> None:
    quick = replace(DAY, statement_seconds=0.01, suspend_after_seconds=0, listens_a_day=100, arrivals_a_day=0)
    found = {cost.what: cost for cost in estimate(quick, measured_day, NO_BUILDS, load_prices()).warehouse}
    assert math.isclose(found["Snowflake Standard, XSMALL"].between, 100 * 60 / 3600)
    assert math.isclose(found["BigQuery Standard edition"].between, 100 * 50 * 60 / 3600)


def test_messages_cost_what_is_sent(measured_day: MeasuredDay) -> None:
    prices = load_prices()
    costs = {cost.what: cost.money for cost in estimate(DAY, measured_day, NO_BUILDS, prices).messages}
    assert math.isclose(costs["text segments"], 1_500 * 2 * 30 * prices["twilio_segment"].amount)
    assert math.isclose(costs["e-mails"], 26_000 * 30 * prices["sendgrid_email"].amount)
    assert "text segments" not in {
        cost.what for cost in estimate(replace(DAY, texts=0), measured_day, NO_BUILDS, prices).messages
    }


def test_every_price_says_who_says_so_and_when() -> None:
    for price in load_prices().values():
        assert price.amount > 0
        assert price.source
        assert price.checked_on.year >= 2026
        assert price.currency == "USD"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("twilio_segment,segment,much,USD,official,2026-01-01,x", "could not convert"),
        ("twilio_segment,segment,1,USD,rumour,2026-01-01,x", "rumour"),
        ("twilio_segment,segment,1,USD,official,yesterday,x", "yesterday"),
        ("twilio_segment,segment,-1,USD,official,2026-01-01,x", "from 0"),
        ("twilio_segment,segment,1,USD,official,2026-01-01,", "a source"),
        ("twilio_segment,segment", "line 2"),
    ],
)
def test_a_wrong_price_is_named_with_its_line(tmp_path: Path, line: str, wrong: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(PRICES_FILE.read_text().splitlines()[0] + f"\n{line}\n")
    with pytest.raises(BadInputError, match=r"prices\.csv line 2") as error:
        load_prices(path)
    assert wrong in str(error.value)


def test_assumptions_are_told_and_json_says_the_same(measured_day: MeasuredDay) -> None:
    found = estimate(DAY, measured_day, NO_BUILDS, load_prices())
    told = estimate_json(found)
    json.dumps(told)
    assert told["assumed"] == list(assumptions(found))
    assert told["statements"]["tick"] == sum(told["statements"]["by_name"].values())
    assert told["statements"]["tick"] == told["statements"]["tick_writing"] + told["statements"]["tick_reading"]
    assert {cost["price"]["status"] for cost in told["messages"]} <= {"official", "third_party", "unchecked"}


def test_the_command(monkeypatch: pytest.MonkeyPatch, measured_day: MeasuredDay) -> None:
    monkeypatch.setattr("rekindle.estimate.measure_day", lambda: measured_day)
    monkeypatch.setattr("rekindle.estimate.read_builds", lambda: NO_BUILDS)
    monkeypatch.setenv("REKINDLE_TWILIO_RATE", "10")
    asked = ["estimate", "--leads", "1000", "--messages", "300", "--texts", "100", "--json"]
    told = json.loads(CliRunner().invoke(app, asked).stdout)
    assert (told["workload"]["emails"], told["workload"]["texts"]) == (200, 100)
    assert told["workload"]["segments_per_second"] == 10
    page = CliRunner().invoke(app, asked[:-1]).stdout
    assert "not measured on a cloud" in " ".join(page.split())


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ([], "name a campaign"),
        (["--leads", "1"], "name a campaign"),
        (["cold_lead_reengagement", "--leads", "1"], "not both"),
        (["--leads", "1", "--messages", "1", "--texts", "2"], "can not be more"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments: list[str], wrong: str) -> None:
    assert wrong in str(CliRunner().invoke(app, ["estimate", *arguments]).exception)
