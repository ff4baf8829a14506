"""The `rekindle` command as a user meets it: what it prints, where, and its exit codes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from rekindle import __version__, cli
from rekindle.errors import BadInputError, RekindleError

ROOT = Path(__file__).parents[3]
COMMANDS = (
    *("migrate", "check", "backup", "explain", "preview", "plan", "lint", "receiver", "sandbox", "demo"),
    *("chaos", "backtest", "calibrate", "diff-score", "stops", "estimate", "simulate"),
)
#: Commands that have commands of their own.
GROUPS = ("governor", "dead-letters", "replies", "stop", "resume")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Calls `rekindle …` in this process; exit code, stdout and stderr."""
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(cli.console, "_width", 200)

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


@pytest.fixture
def warehouse(tmp_path, empty_warehouse):
    """The configured warehouse, migrated and empty."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(empty_warehouse, path)
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(command, name):
    code, out, err = command(name, "--help")
    assert (code, err) == (0, "")
    assert f"rekindle {name}" in out
    described = next(each for each in cli.app.registered_commands if (each.name or each.callback.__name__) == name)
    assert described.callback.__doc__.split(".")[0].split(";")[0] in " ".join(out.split())


def test_the_commands_are_listed(command):
    code, out, _ = command("--help")
    assert code == 0
    assert {each.name or each.callback.__name__ for each in cli.app.registered_commands} == set(COMMANDS)
    assert {each.name for each in cli.app.registered_groups} == set(GROUPS)
    for name in COMMANDS + GROUPS:
        assert re.search(rf"│ {name} +\S", out)
    # each under a heading that says what for
    assert re.findall(r"╭─ ([\w ]+) ─", out) == [
        "Options",
        "Run it",
        "Write a campaign",
        "Try it and prove it",
        "Tune the score",
    ]


def test_the_version_alone(command):
    assert command("--version") == (0, f"{__version__}\n", "")


def test_migrate_says_what_it_applied_and_is_safe_to_repeat(command, tmp_path):
    migrations = sorted(path.name for path in (ROOT / "sql" / "migrations").glob("*.sql"))
    code, out, err = command("migrate")
    assert (code, err) == (0, "")
    assert re.findall(r"applied (\S+\.sql)", out) == migrations
    assert f"{len(migrations)} applied, 0 already there" in out

    code, out, _ = command("migrate")
    assert code == 0
    assert f"0 applied, {len(migrations)} already there" in out
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        counted = connection.execute("select count(*), count(distinct migration) from rekindle_state.schema_migrations")
        assert counted.fetchone() == (len(migrations), len(migrations))


def test_check_of_a_healthy_warehouse(command, warehouse):
    code, out, err = command("check")
    assert (code, err) == (0, "")
    invariants = sorted((ROOT / "sql" / "queries" / "invariants").glob("*.sql"))
    assert out.count("holds") == len(invariants)
    assert "BROKEN" not in out


def test_check_of_a_broken_warehouse_names_the_promise_and_exits_1(command, warehouse):
    # Given an opt-out that somebody recorded from a GET
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "insert into rekindle_state.message_events (event_key, provider, event_type, provider_event, occurred_at,"
            " received_at, detail, landing_file, recorded_at) values"
            " ('k', 'rekindle', 'unsubscribed', 'unsubscribe', now(), now(), 'GET', 'f', now())"
        )
    code, out, err = command("check")
    assert (code, err) == (1, "")
    (broken,) = [line for line in out.splitlines() if "BROKEN" in line]
    assert "a get never unsubscribes" in broken
    assert re.search(r"1 opt-outs by link\s+│\s+1 │", broken)


def test_check_does_not_change_what_it_checks(command, warehouse):
    before = warehouse.read_bytes()
    command("check")
    assert warehouse.read_bytes() == before


def test_check_without_a_warehouse_says_so_and_makes_none(command, tmp_path):
    code, out, err = command("check")
    assert (code, out) == (2, "")
    assert str(tmp_path / "warehouse.duckdb") in err
    assert "rekindle migrate" in err and "REKINDLE_WAREHOUSE_PATH" in err
    assert list(tmp_path.iterdir()) == []


def test_check_of_a_warehouse_that_was_never_migrated_says_how_to_mend_it(command, tmp_path):
    duckdb.connect(str(tmp_path / "warehouse.duckdb")).close()
    code, _, err = command("check")
    assert code == 2
    assert "rekindle migrate" in err


@pytest.mark.parametrize(
    ("engine", "given", "missing"),
    [
        ("bigquery", {}, "REKINDLE_BIGQUERY_PROJECT is not set; set it,"),
        ("bigquery", {"REKINDLE_BIGQUERY_PROJECT": ""}, "REKINDLE_BIGQUERY_PROJECT is not set; set it,"),
        (
            "snowflake",
            {"REKINDLE_SNOWFLAKE_USER": "rekindle", "REKINDLE_SNOWFLAKE_PORT": ""},
            "REKINDLE_SNOWFLAKE_ACCOUNT, REKINDLE_SNOWFLAKE_DATABASE, REKINDLE_SNOWFLAKE_WAREHOUSE are not set;"
            " set them,",
        ),
    ],
)
def test_an_engine_without_its_settings_is_refused_in_one_line(command, warehouse, monkeypatch, engine, given, missing):
    for name in [name for name in os.environ if name.startswith(("REKINDLE_BIGQUERY", "REKINDLE_SNOWFLAKE"))]:
        monkeypatch.delenv(name)
    for name, value in (given | {"REKINDLE_WAREHOUSE_ENGINE": engine}).items():
        monkeypatch.setenv(name, value)
    assert command("check") == (2, "", f"error: {missing} or REKINDLE_WAREHOUSE_ENGINE=duckdb\n")


def test_an_engine_nobody_knows_is_refused_in_one_line(command, warehouse, monkeypatch):
    monkeypatch.setenv("REKINDLE_WAREHOUSE_ENGINE", "postgres")
    code, _, err = command("check")
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert "REKINDLE_WAREHOUSE_ENGINE" in err and "snowflake" in err


def test_lint_of_the_campaigns_that_are_shipped(command):
    code, out, _ = command("lint")
    assert code == 0
    assert "0 errors" in out


def test_lint_of_a_bad_folder_names_file_and_line_and_exits_1(command, tmp_path):
    # Given a campaign with a misspelt word
    campaign = (ROOT / "include" / "campaigns" / "cold_lead_reengagement.yaml").read_text().splitlines()
    file = tmp_path / "cold_lead_reengagement.yaml"
    number = next(number for number, line in enumerate(campaign, 1) if line.startswith("owner:"))
    campaign[number - 1] = "ownr: growth@example.com"
    file.write_text("\n".join(campaign))
    code, out, err = command("lint", str(tmp_path))
    assert (code, err) == (1, "")
    assert any(f"{file}:{number}:" in line and "ownr" in line for line in out.splitlines())
    assert "owner" in out  # what was probably meant


def test_lint_of_a_folder_that_is_not_there(command, tmp_path):
    code, _, err = command("lint", str(tmp_path / "nowhere"))
    assert code == 2
    assert str(tmp_path / "nowhere") in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--reactions", "enthusiastic"),
        ("demo", "--days", "0"),
        ("demo", "--follow-up", "-1"),
        ("demo", "--as-of", "yesterday"),
        ("sandbox", "--port", "many"),
        ("dance",),
        ("check", "--faster"),
    ],
)
def test_a_mistyped_command_is_exit_2_and_no_traceback(command, arguments):
    code, _, err = command(*arguments)
    assert code == 2
    assert "Traceback" not in err
    assert "Usage: rekindle" in err


def test_down_of_a_stack_that_never_ran(command, tmp_path):
    assert command("demo", "--down", "--home", str(tmp_path / "never")) == (0, "nothing was running\n", "")
    assert not (tmp_path / "never").exists()


def test_an_events_file_that_is_not_there_is_one_line_and_starts_nothing(command, tmp_path):
    (tmp_path / "events.csv").write_text("user_id,event_type,occurred_at\n")
    code, _, err = command("demo", "--events", str(tmp_path / "event.csv"), "--home", str(tmp_path / "home"))
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert "Did you mean `events.csv`?" in err
    assert not (tmp_path / "home" / "processes.json").exists()


def test_a_demonstration_does_not_empty_a_folder_it_did_not_make(command, tmp_path):
    # Given somebody's own folder, named by mistake
    home = tmp_path / "thesis"
    home.mkdir()
    (home / "chapter_1.txt").write_text("years of work")
    code, _, err = command("demo", "--events", str(tmp_path / "event.csv"), "--home", str(home))
    assert code == 2
    assert (home / "chapter_1.txt").read_text() == "years of work"
    assert str(home) in err


@pytest.mark.parametrize(("error", "code"), [(RekindleError("mend it"), 2), (BadInputError("[bold]mend[/] it"), 2)])
def test_what_is_raised_on_purpose_is_a_line_and_not_a_traceback(command, monkeypatch, error, code):
    def app():
        raise error

    monkeypatch.setattr(cli, "app", app)
    # square brackets of a path or a message are no mark-up
    assert command() == (code, "", f"error: {error}\n")


def test_what_nobody_expected_keeps_its_traceback(command, monkeypatch):
    def app():
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(ZeroDivisionError):
        command()


def test_on_a_terminal_the_error_is_red_on_stderr(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rekindle.cli", "check"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT / "include"),
            "REKINDLE_WAREHOUSE_PATH": str(tmp_path / "a[b]" / "warehouse.duckdb"),
            "FORCE_COLOR": "1",
            "TERM": "xterm-256color",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("\x1b[31merror:\x1b[0m there is no warehouse at ")
    assert "a[b]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_saying_its_version_loads_no_engine():
    # a room imported for one group of commands would slow every other
    loaded = subprocess.run(
        [sys.executable, "-c", "import rekindle.cli, sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(Path(cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"duckdb", "pyarrow", "pandas", "twilio", "sendgrid", "jinja2"} & set(loaded)
