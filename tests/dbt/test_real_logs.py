"""The default weights on two real logs: a sensible number of leads a day, and never a worse order than recency."""

from __future__ import annotations

import importlib.util
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

# The package carries the log; importing it would want plotting libraries.
LIFETIMES = importlib.util.find_spec("lifetimes")
CDNOW = Path(LIFETIMES.origin if LIFETIMES else "absent").parent / "datasets" / "CDNOW_master.txt"
CROSS_VALIDATED = Path(__file__).parents[2].parent / "shared" / "data" / "cross_validated_events.parquet"

pytestmark = pytest.mark.slow

#: Area under the ROC curve by ranks: how often who stayed away for 30 days is ordered before who did not.
AREA = """
    with leads as (
        select
            scores.{order} as coldness,
            not exists (
                select 1 from rekindle_staging.stg_app__events as events
                where events.lead_id = scores.lead_id and events.event_kind in ('log_in', 'key_action')
                and events.occurred_at >= $1 and events.occurred_at < $1 + interval 30 day
            ) as stayed_away
        from rekindle_marts.fct_cold_scores as scores
        where scores.days_since_last_seen between $2 and $3
    ),

    ranked as (
        select
            stayed_away,
            rank() over (order by coldness) + (count(*) over (partition by coldness) - 1) / 2.0 as place
        from leads
    ),

    counted as (
        select count(*) filter (stayed_away) as away, count(*) filter (not stayed_away) as back from ranked
    )

    select (sum(place) - away * (away + 1) / 2.0) / (away * back)
    from ranked, counted where stayed_away group by away, back
"""


def areas(warehouse, as_of: datetime, silent_from: int, silent_until: int) -> tuple[float, float]:
    """The score's area and recency's, over leads silent for some range of days."""
    return tuple(
        warehouse.rows(AREA.format(order=order), as_of, silent_from, silent_until)[0][0]
        for order in ("cold_score", "days_since_last_seen")
    )


def load(warehouse, statement: str, *parameters: str) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(f"insert into rekindle_raw.events {statement}", list(parameters))


def cohort_sizes(warehouse) -> list[int]:
    return [
        size
        for (size,) in warehouse.rows(
            "select count(*) from rekindle_activation.sync_cold_leads group by crossed_cold_on order by crossed_cold_on"
        )
    ]


@pytest.mark.skipif(not CDNOW.exists(), reason="the lifetimes package is not installed")
def test_an_online_shop(warehouse, daily_score):
    load(
        warehouse,
        """
        with lines as (
            select unnest(string_split(content, chr(10))[2:]) as line
            from read_text($1)
        ),

        purchases as (
            select row_number() over () as source_row, string_split_regex(trim(line), ' +') as words
            from lines
            where trim(line) != ''
        )

        select 'purchase-' || source_row, words[1], 'purchase', strptime(words[2], '%Y%m%d'), null, false, 'cdnow',
            source_row, timestamp '1998-07-01'
        from purchases
        """,
        str(CDNOW),
    )
    as_of = datetime(1998, 5, 10, 18)
    warehouse.build((as_of, daily_score))
    sizes = cohort_sizes(warehouse)
    assert len(sizes) == 7 and all(10 <= size <= 60 for size in sizes), sizes
    # one kind of event only: all that can tell leads apart beside recency is how often they came
    score, recency = areas(warehouse, as_of, 0, 10_000)
    assert score > recency + 0.001 and score > 0.8


@pytest.mark.skipif(not CROSS_VALIDATED.exists(), reason=f"the log is not at {CROSS_VALIDATED}")
def test_a_question_and_answer_site(new_warehouse, daily_score):
    warehouse = new_warehouse(REKINDLE_PASSIVE_EVENTS="badge_earned")
    load(
        warehouse,
        """
        select 'event-' || row_number() over (), cast(user_id as varchar), event_type, occurred_at, null, false,
            'log', row_number() over (), occurred_at
        from read_parquet($1)
        """,
        str(CROSS_VALIDATED),
    )
    as_of = datetime(2014, 6, 1, 18)
    warehouse.build((as_of, daily_score))
    sizes = cohort_sizes(warehouse)
    assert len(sizes) == 7 and all(20 <= size <= 120 for size in sizes), sizes
    # a key action that many never do: the score orders better, most of all where the line is
    score, recency = areas(warehouse, as_of, 0, 10_000)
    assert score > recency
    score, recency = areas(warehouse, as_of, 30, 120)
    assert score > recency + 0.03
