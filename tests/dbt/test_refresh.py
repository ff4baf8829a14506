"""A cart is looked at within the hour: the models tagged `hourly`, and the campaign that enters from them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.campaigns.loader import load_campaign
from rekindle.ingest import load_landing_zone
from rekindle.planning.rehearsal import check_and_plan, enter_and_advance
from rekindle.run import Run
from rekindle.warehouse.duckdb import DuckDbWarehouse

INCLUDE = Path(__file__).parents[2] / "include"
WITHOUT_TESTS = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
REFRESH = ("build", "--select", "tag:hourly", "--exclude", "test_type:unit")
SUNDAY, MONDAY = datetime(2026, 3, 1, 20), datetime(2026, 3, 2)
OFFERED = "select lead_id, scored_as_of from rekindle_activation.sync_abandoned_carts order by 1"


@pytest.fixture
def shop(warehouse, tmp_path):
    """Scored on Sunday evening; carts count after two hours. Carts are left on Monday at 10:00."""
    zones = {"london": "Europe/London", "new_york": "America/New_York", "bought": "Europe/London", "late": "UTC"}
    warehouse.insert(
        "rekindle_raw.users",
        [
            {
                "user_id": lead,
                "email": f"{lead}@example.com",
                "time_zone": zone,
                "signed_up_at": datetime(2026, 2, 1),
                "email_consented_at": datetime(2026, 2, 1),
            }
            for lead, zone in zones.items()
        ],
    )
    # whom the evening's load has not brought along yet
    carts = [(lead, "cart_updated", MONDAY.replace(hour=10)) for lead in ("london", "new_york", "bought", "newcomer")]
    warehouse.see(("london", "login", datetime(2026, 2, 20)))
    warehouse.build((SUNDAY, WITHOUT_TESTS))
    ingest = Run(SUNDAY.replace(tzinfo=UTC), "sunday", SUNDAY.replace(tzinfo=UTC))
    (tmp_path / "landing").mkdir()
    load_landing_zone(DuckDbWarehouse(warehouse.path), tmp_path / "landing", ingest)
    warehouse.execute("update rekindle_seeds.activation_rules set after_days = 0.0833 where rule = 'abandoned_carts'")
    warehouse.see(
        *carts,
        ("bought", "purchase", MONDAY.replace(hour=11, minute=30)),
        ("late", "cart_updated", MONDAY.replace(hour=11)),
    )
    return warehouse


def test_a_cart_left_at_ten_is_written_to_on_the_same_day(shop):
    warehouse = DuckDbWarehouse(shop.path)
    campaign = load_campaign(INCLUDE / "campaigns" / "cart_abandonment.yaml", INCLUDE / "templates")
    known = "select entry_id, entered_at from rekindle_state.journey_entries"
    before = shop.rows("select count(*), max(scored_as_of) from rekindle_marts.fct_cold_scores")

    def tick(hour):
        as_of = MONDAY.replace(hour=hour, minute=15, tzinfo=UTC)
        run = Run(as_of, f"tick {hour}", as_of)
        enter_and_advance(warehouse, campaign, [], run)
        check_and_plan(warehouse, campaign, run, "US")
        return shop.rows("select lead_id, planned_at from rekindle_state.messages order by planned_at, lead_id")

    # At a quarter past eleven it is not two hours yet
    quarter_past_eleven, quarter_past_twelve = (MONDAY.replace(hour=hour, minute=15) for hour in (11, 12))
    [outcome] = shop.build((quarter_past_eleven, REFRESH))
    assert shop.rows(OFFERED) == []
    assert tick(11) == []
    assert shop.rows(known) == []
    # nothing of the score was built: one table of one row, and views
    assert {name for name in outcome.statuses if name.startswith(("int_", "fct_", "stg_"))} == {"int_last_refresh"}
    # At a quarter past twelve it is, for who did not buy meanwhile; who came after the scoring counts too
    shop.build((quarter_past_twelve, REFRESH))
    assert shop.rows(OFFERED) == [(lead, quarter_past_twelve) for lead in ("london", "new_york", "newcomer")]
    assert tick(12) == [("london", quarter_past_twelve)]
    # who is nobody's user has no address
    assert [lead for (lead,) in shop.rows("select lead_id from rekindle_state.journey_entries order by 1")] == [
        "london",
        "new_york",
    ]
    # In New York it is a quarter past seven: at nine, still on Monday
    assert tick(13) == [("london", quarter_past_twelve)]
    assert tick(14) == [("london", quarter_past_twelve), ("new_york", MONDAY.replace(hour=14, minute=15))]
    assert shop.rows("select count(*), max(scored_as_of) from rekindle_marts.fct_cold_scores") == before
