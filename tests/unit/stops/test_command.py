"""`rekindle stop`, `resume` and `stops`, as a person types them."""

from __future__ import annotations

import shutil
import sys

import pytest

from rekindle import cli
from rekindle.commands import stops


@pytest.fixture
def rekindle(monkeypatch, capsys, tmp_path, empty_warehouse):
    """Calls `rekindle …` on an empty warehouse; exit code and everything printed, on one line."""
    shutil.copyfile(empty_warehouse, tmp_path / "warehouse.duckdb")
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(tmp_path / "warehouse.duckdb"))
    for console in (cli.console, stops.console):
        monkeypatch.setattr(console, "_width", 200)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["rekindle", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, " ".join((printed.out + printed.err).split())

    return call


def test_a_stop_from_its_reason_to_its_end(rekindle):
    assert rekindle("stops") == (0, "nothing is stopped, and nothing ever was")
    assert rekindle("stop", "channel", "sms", "--mode", "drain", "--reason", "[carrier]", "--by", "ada") == (
        0,
        "channel sms: drain",
    )
    assert rekindle("stop", "channel", "sms", "--mode", "drain", "--reason", "r") == (
        0,
        "channel sms was in drain already",
    )
    assert rekindle("stop", "campaign", "cold_lead_reengagement", "--reason", "typo")[1].endswith("reengagement: hold")
    _, listed = rekindle("stops")
    assert "channel sms │ drain" in listed and "│ ada │ [carrier] │ in force" in listed
    code, said = rekindle("resume", "channel", "sms", "--by", "bob")
    assert (code, said) == (0, "channel sms goes on still stopped: campaign cold_lead_reengagement (hold: typo)")
    assert "by bob" in rekindle("stops")[1]
    assert rekindle("resume", "everything")[1].startswith("everything was not stopped")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("stop", "campaign", "cold_lead_reengagment", "--reason", "r"), "Did you mean `cold_lead_reengagement`?"),
        (("stop", "channel", "mail", "--reason", "r"), "name one of: email, sms"),
        (("stop", "everything"), "--reason"),
        (("stop", "everything", "--reason", "r", "--mode", "freeze"), "hold"),
    ],
)
def test_what_can_not_be_stopped_is_said_and_stops_nothing(rekindle, arguments, complaint):
    code, said = rekindle(*arguments)
    assert code != 0 and complaint in said
    assert rekindle("stops")[1] == "nothing is stopped, and nothing ever was"
