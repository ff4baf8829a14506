from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from rekindle import cli
from rekindle.clock import SteppedClock
from rekindle.errors import ConfigurationError
from rekindle.governor import command
from rekindle.governor.allowance import Allowance
from rekindle.governor.breaker import BreakerLimits
from rekindle.governor.rate import ProviderRate
from rekindle.governor.settings import GovernorSettings, open_governor
from rekindle.vocabulary import ErrorClass
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.migrate import migrate

ENV = Path(__file__).parents[3] / ".env.example"


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    """An installation of its own, whose logical time stands still."""
    SteppedClock(tmp_path / "clock").step_to(datetime(2026, 3, 2, 18, tzinfo=UTC))
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(tmp_path / "clock"))
    monkeypatch.setenv("REKINDLE_GOVERNOR_ROOT", str(tmp_path / "governor"))
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(tmp_path / "warehouse.duckdb"))
    return tmp_path


@pytest.fixture
def rekindle(monkeypatch, capsys):
    """Calls `rekindle …` in this process; exit code, stdout and stderr."""
    monkeypatch.setattr(command.console, "_width", 200)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["rekindle", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_the_defaults_hold_nobody_back():
    settings = GovernorSettings()
    assert settings.rate("sendgrid") == ProviderRate(2_000, block=1_000)
    assert settings.rate("twilio") == ProviderRate(100)
    assert settings.allowance("sendgrid") == settings.allowance("twilio") == Allowance()
    assert settings.breaker_limits() == BreakerLimits()


def test_every_account_has_its_own(monkeypatch):
    for name, value in {
        "SENDGRID_RATE": "10",
        "SENDGRID_WARM_UP": "50, 100,500",
        "SENDGRID_WARM_UP_STARTS": "2026-03-01",
        "TWILIO_DAILY_CAP": "2000",
        "TWILIO_WARM_UP": "",  # as docker compose hands over what is not set
        "BREAKER_BOUNCES": "0.05",
        "BREAKER_WINDOW_HOURS": "48",
        "BREAKER_COOL_DOWN_MINUTES": "5",
    }.items():
        monkeypatch.setenv(f"REKINDLE_{name}", value)
    settings = GovernorSettings()
    assert settings.rate("sendgrid") == ProviderRate(10, block=10)
    assert settings.allowance("sendgrid") == Allowance(None, (50, 100, 500), date(2026, 3, 1))
    assert settings.allowance("twilio") == Allowance(2_000)
    limits = settings.breaker_limits()
    assert (limits.bounces, limits.window, limits.cool_down) == (0.05, timedelta(hours=48), timedelta(minutes=5))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWILIO_RATE", "0"),
        ("SENDGRID_RATE", "fast"),
        ("SENDGRID_WARM_UP", "50,none"),
        ("SENDGRID_WARM_UP_STARTS", "tomorrow"),
        ("TWILIO_DAILY_CAP", "-1"),
        ("BREAKER_COMPLAINTS", "30"),
    ],
)
def test_a_wrong_value_names_its_variable(monkeypatch, name, value):
    monkeypatch.setenv(f"REKINDLE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"REKINDLE_{name}"):
        GovernorSettings()


def test_half_a_warm_up_is_refused(monkeypatch):
    monkeypatch.setenv("REKINDLE_TWILIO_WARM_UP", "50,100")
    with pytest.raises(ConfigurationError, match="REKINDLE_TWILIO_WARM_UP_STARTS"):
        open_governor("twilio")


def test_every_setting_is_in_the_example_file():
    told = {line.split("=")[0] for line in ENV.read_text().splitlines() if "=" in line}
    names = {f"REKINDLE_{name.upper()}" for name in GovernorSettings.model_fields}
    assert names - told == {"REKINDLE_GOVERNOR_ROOT"}  # where the volume is, says docker-compose.yaml


def test_the_store_is_chosen_by_its_url(installation, monkeypatch):
    with open_governor("twilio") as governor:
        governor.acquire(1)
    assert (installation / "governor" / "governor.sqlite").exists()
    monkeypatch.setenv("REKINDLE_GOVERNOR_STORE", f"sqlite:///{installation}/elsewhere.sqlite")
    with open_governor("twilio") as governor:
        assert governor.status().used_today == 0
    monkeypatch.setenv("REKINDLE_GOVERNOR_STORE", "mysql://host/a-password")
    with pytest.raises(ConfigurationError, match="REKINDLE_GOVERNOR_STORE") as caught:
        open_governor("twilio")
    assert "a-password" not in str(caught.value)


def test_a_redis_for_several_machines(small_redis, monkeypatch):
    monkeypatch.setenv("REKINDLE_GOVERNOR_STORE", small_redis.url)
    with open_governor("twilio") as one, open_governor("twilio") as other:
        one.acquire(3)
        assert other.status().used_today == 3


def test_a_store_that_is_not_there_is_a_configuration_error(installation, monkeypatch):
    (installation / "file").touch()
    monkeypatch.setenv("REKINDLE_GOVERNOR_STORE", f"sqlite:///{installation}/file/governor.sqlite")
    with pytest.raises(ConfigurationError, match="see REKINDLE_GOVERNOR_ROOT"):
        open_governor("twilio")


# --- the command


def test_the_command_shows_every_account(rekindle, monkeypatch):
    monkeypatch.setenv("REKINDLE_TWILIO_WARM_UP", "40,80,160")
    monkeypatch.setenv("REKINDLE_TWILIO_WARM_UP_STARTS", "2026-03-01")
    with open_governor("twilio") as governor:
        governor.acquire(7)
        governor.record([(ErrorClass.CONFIGURATION, "20003")] * 5)
    code, printed, _ = rekindle("governor")
    assert code == 0
    rows = {line.split()[1]: line for line in printed.splitlines() if line.startswith("│") and line.split()[1] != "│"}
    assert "closed" in rows["sendgrid"]
    assert "open until 2026-03-02 18:30, reopened 0 times" in rows["twilio"]
    assert "7 of 80" in rows["twilio"]
    assert "5 configuration errors in a row, the last was 20003" in printed
    assert "day 2 of the warm-up" in printed


def test_the_command_speaks_json_and_closes_a_breaker_by_hand(rekindle, installation):
    with open_governor("twilio") as governor:
        governor.record([(ErrorClass.CONFIGURATION, "20003")] * 5)
    code, printed, _ = rekindle("governor", "--json")
    accounts = {row["account"]: row for row in json.loads(printed)}
    assert code == 0
    assert accounts["twilio"]["breaker"]["phase"] == "open"
    assert accounts["sendgrid"]["breaker"]["phase"] == "closed"
    assert accounts["sendgrid"]["units_per_second"] == 2_000
    code, printed, _ = rekindle("governor", "close", "twilio")
    assert code == 0
    assert printed == "the breaker of twilio was open and is closed\n0 decisions to wait for it are over\n"
    assert not (installation / "warehouse.duckdb").exists()
    with open_governor("twilio") as governor:
        assert governor.held() is None


def test_closing_by_hand_frees_in_the_warehouse_whom_the_breaker_held(rekindle, installation):
    path = installation / "warehouse.duckdb"
    migrate(DuckDbWarehouse(path), SteppedClock(installation / "clock"))
    held = {
        "entry_id": "e",
        "campaign_id": "cold",
        "lead_id": "l",
        "step_id": "probe",
        "reason": "breaker_open",
        "decided_at": datetime(2026, 3, 2, 17, tzinfo=UTC),
        "next_due_at": datetime(2026, 3, 3, 17, tzinfo=UTC),
        "run_id": "r",
    }
    with DuckDbWarehouse(path).transaction() as transaction:
        transaction.insert(
            "rekindle_state.decisions", [held | {"message_id": name, "channel": name} for name in ("email", "sms")]
        )
    code, printed, _ = rekindle("governor", "close", "sendgrid")
    assert (code, printed.splitlines()[-1]) == (0, "1 decisions to wait for it are over")
    with DuckDbWarehouse(path).transaction() as transaction:
        rows = transaction.query("select channel, next_due_at from rekindle_state.decisions")
    due = {row["channel"]: row["next_due_at"] for row in rows}
    assert due == {"email": datetime(2026, 3, 2, 18, tzinfo=UTC), "sms": held["next_due_at"]}


def test_the_command_stops_everything_at_once(rekindle):
    code, printed, _ = rekindle("governor", "stop", "all", "--reason", "wrong template")
    assert (code, printed.count("sends nothing until")) == (0, 2)
    for account in ("sendgrid", "twilio"):
        with open_governor(account) as governor:
            assert "stopped by hand: wrong template" in str(governor.held())
    assert rekindle("governor", "close", "all")[0] == 0
    with open_governor("twilio") as governor:
        assert governor.held() is None


def test_an_account_that_does_not_exist_is_named_with_those_that_do(rekindle):
    code, _, complained = rekindle("governor", "close", "mailgun")
    assert code != 0
    assert "accounts are sendgrid, twilio" in complained.replace("\n", " ")
