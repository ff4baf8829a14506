"""The demonstration from the command to the last process, on real logs, through the real Airflow, dbt and SDKs."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import time
from datetime import UTC, date, datetime
from pathlib import Path

import psutil
import pytest

from rekindle.demo.cdnow import cdnow_file

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_200)]

CROSS_VALIDATED = Path(__file__).parents[2].parent / "shared" / "data" / "cross_validated_events.parquet"
CAMPAIGN_DAG = "campaign__cold_lead_reengagement"
#: Born paused like every campaign: the demonstration leaves it alone.
ASKING_DAG = "campaign__asks_first"
#: Whom a run of it may write to: in treatment, due, and not another campaign's today.
DUE = """
    select count(*) from rekindle_state.journey_state as journeys
    where campaign_id = 'asks_first' and stage = 'probe' and exit_reason is null and arm = 'treatment'
    and entry_id not in (select entry_id from rekindle_state.lost_turns)
"""
CYCLE = ["ingest", "score", "reconcile", "measure", CAMPAIGN_DAG]
LOG_ENDS = date(1997, 6, 16)
#: Buyers of lately, so not cold, who then cancelled: nobody but `asks_first` writes to them.
LEAVERS = [f"{number}" for number in range(90_001, 90_013)]
AREAS = ("212", "213", "312", "305", "415", "602", "713", "206", "303", "404", "617", "702")


def write_events(folder):
    """Every twentieth customer of the CDNOW log up to mid-1997, the leavers, and one of each fault; returns the users,
    how many events are good and where the faults are.
    """
    rows = []
    for number, line in enumerate(cdnow_file().read_text().splitlines()[1:]):
        customer, day, *_ = line.split()
        bought = date.fromisoformat(day)
        if int(customer) % 20 == 0 and bought <= LOG_ENDS:
            rows.append((f"purchase-{number}", customer, "purchase", f"{bought}T{12 + number % 8}:00:00Z"))
    for leaver in LEAVERS:
        rows.append((f"bought-{leaver}", leaver, "purchase", "1997-06-02T12:00:00Z"))
        rows.append((f"left-{leaver}", leaver, "subscription_cancelled", "1997-06-14T12:00:00Z"))
    rows.sort(key=lambda row: row[3])
    users = sorted({row[1] for row in rows})
    known = users[0]
    faults = [
        (("no-time", known, "purchase", "last Tuesday"), "occurred_at", "unparsable_time"),
        ((rows[7][0], known, "purchase", "1997-03-03T12:00:00Z"), "event_id", "duplicate_id"),
        (("stranger", "nobody", "purchase", "1997-03-03T12:00:00Z"), "user_id", "unknown_user_id"),
        (("nobody", "", "purchase", "1997-03-03T12:00:00Z"), "user_id", "empty_value"),
        (("tomorrow", known, "purchase", "1997-06-18T12:00:00Z"), "occurred_at", "in_the_future"),
        (("short", known, "purchase"), None, "wrong_number_of_cells"),
    ]
    with (folder / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("event_id", "user_id", "event_type", "occurred_at"))
        writer.writerows([*rows, *(fault for fault, _, _ in faults)])
    told = {("events.csv", len(rows) + 2 + at, column, reason) for at, (_, column, reason) in enumerate(faults)}
    return users, len(rows), told


def write_leads(folder, users):
    """Addresses on a domain reserved for examples; numbers kept for fiction, for three in four; two faults."""
    with (folder / "leads.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "email", "phone", "country"))
        for number, user in enumerate(users):
            phone = f"+1{AREAS[number // 100 % 12]}55501{number % 100:02}" if number % 4 else ""
            email = f"buyer{user}@example.com"
            if number == 3:
                email = "buyer at example"
            if number == 5:
                phone = "12"
            writer.writerow((user, email, phone, "US"))
    return {("leads.csv", 5, "email", "malformed_email"), ("leads.csv", 7, "phone", "malformed_phone")}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Files somebody hands in: users, how many events are good, and every fault by file, row, column and reason."""
    folder = tmp_path_factory.mktemp("given")
    users, good, faults = write_events(folder)
    faults |= write_leads(folder, users)
    return {"folder": folder, "users": users, "good": good, "faults": faults}


@pytest.fixture(scope="module")
def lived(new_demonstration, given, project_that_asks):
    """The demonstration of those files, four days and a week later, still running."""
    demonstration = new_demonstration(project_that_asks)
    folder = given["folder"]
    demonstration.run(
        *("--events", str(folder / "events.csv"), "--leads", str(folder / "leads.csv")),
        *("--as-of", LOG_ENDS.isoformat(), "--days", "3", "--follow-up", "7"),
    )
    return demonstration


def instants(demonstration):
    """Every logical instant that was lived through, in order."""
    found = demonstration.query("select as_of from rekindle_state.campaign_runs where activity = 'ingest' order by 1")
    return [as_of.replace(tzinfo=UTC) for (as_of,) in found]


# The tests of `lived` read one story and stand in its order; the last one takes the stack down.


def test_it_ends_well_and_tells_the_outcome(lived):
    assert lived.returncode == 0, lived.output + lived.errors
    assert "Traceback" not in lived.output + lived.errors
    tables = lived.tables_printed()
    outcome = {row[0]: row[1:] for row in tables["Where everybody who entered is now"]}
    entered = int(outcome.pop("entered")[0].replace(",", ""))
    outcome.pop("outcome", None)
    assert entered == sum(int(cells[0].replace(",", "")) for cells in outcome.values())
    assert entered > 50
    assert {"active", "archived", "re_engaged"} <= set(outcome)
    ((treated, held_out),) = lived.query(
        "select count(*) filter (arm = 'treatment'), count(*) filter (arm = 'holdout')"
        " from rekindle_state.journey_entries"
    )
    assert treated == entered
    assert held_out > 0
    # leads crossed the line on every day, not only on the first
    assert len(lived.query("select distinct cohort_date from rekindle_state.journey_entries")) >= 4
    # both channels were used
    sent = lived.query("select distinct channel from rekindle_state.messages where status = 'delivered' order by 1")
    assert sent == [("email",), ("sms",)]


def test_every_promise_and_every_cross_check_holds(lived):
    tables = lived.tables_printed()
    promises = [row for row in tables["Invariants"] if row[0].isdigit()]
    assert [row[0] for row in promises] == [str(number) for number in range(1, 11)]
    assert {row[-1] for row in promises} == {"holds"}
    checks = [row for row in tables["The sandbox's own record against the ledger"] if row[0] != "claim"]
    assert len(checks) >= 5
    assert {row[-1] for row in checks} == {"holds"}
    # and they looked at something
    assert all(int(row[1].split()[0].replace(",", "")) > 50 for row in checks)


def test_check_agrees(lived):
    done = lived.check()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("holds") == 10


def test_what_happened_and_what_comes_can_be_asked(lived):
    warehouse = {"REKINDLE_WAREHOUSE_PATH": str(lived.warehouse)}
    ((lead,),) = lived.query(
        "select lead_id from rekindle_state.messages where channel = 'email' and accepted_at is not null"
        " order by lead_id limit 1"
    )
    told = lived.rekindle("explain", lead, **warehouse)
    assert told.returncode == 0, told.stderr
    assert "email of step probe by sendgrid" in told.stdout
    foreseen = lived.rekindle("plan", "cold_lead_reengagement", "--as-of", "2099-01-01", **warehouse)
    assert foreseen.returncode == 0, foreseen.stderr
    assert "nothing was sent or changed" in foreseen.stdout
    read = lived.rekindle("preview", "cold_lead_reengagement", lead, **warehouse)
    assert read.returncode == 0, read.stderr
    assert "Subject: Did we get in your way?" in read.stdout
    unknown = lived.rekindle("preview", "cold_lead_reengagment", **warehouse)
    assert unknown.returncode == 2
    assert "Did you mean `cold_lead_reengagement`?" in unknown.stderr


def test_every_bad_row_is_kept_with_its_file_row_and_column(lived, given):
    rejects = lived.query("select source_file, source_row, column_name, reason from rekindle_raw.rejects")
    assert set(rejects) == given["faults"]
    assert len(rejects) == len(given["faults"])
    # beside them stand the events the product tracked itself
    kept = "select count(*) from rekindle_raw.events where source_file = 'events.csv'"
    assert lived.query(kept) == [(given["good"],)]
    # a bad cell costs the cell, not the lead
    assert lived.query("select count(*) from rekindle_raw.users") == [(len(given["users"]),)]
    spoilt = lived.query("select email, phone from rekindle_raw.users where source_row in (5, 7) order by source_row")
    assert (spoilt[0][0], spoilt[1][1]) == (None, None)
    assert spoilt[0][1] is not None and spoilt[1][0] is not None


def test_what_was_not_taken_and_what_was_made_up_is_printed(lived, given):
    tables = lived.tables_printed()
    shown = {tuple(row[:4]) for row in tables["Input that could not be used (kept in rekindle_raw.rejects)"]}
    assert {(file, column or "(row)", reason, "1") for file, _, column, reason in given["faults"]} <= shown
    ways_out = " ".join(" ".join(row) for row in tables["What was not taken, and how to mend it"])
    assert "events.csv" in ways_out and "last Tuesday" in ways_out
    # an address or a number is masked even when it is wrong
    assert "buyer at example" not in lived.output
    facts = " ".join(" ".join(row) for title, rows in tables.items() if "input" in title.lower() for row in rows)
    assert "time zones" in facts and "consents" in facts
    assert "e-mail addresses (on domains" not in facts  # they were given


def test_no_log_and_no_message_between_tasks_holds_an_address_or_a_secret(lived):
    connection = sqlite3.connect(f"file:{lived.home / 'airflow' / 'airflow.db'}?mode=ro", uri=True)
    crossed = connection.execute("select count(*), group_concat(value) from xcom").fetchone()
    connection.close()
    assert crossed[0] > 20
    personal = re.compile(r"buyer\d{5}@|\+?1\d{3}55501\d{2}")
    assert not personal.search(crossed[1])
    logs = [path for folder in ("logs", "airflow/logs") for path in (lived.home / folder).rglob("*.log")]
    assert len(logs) > 30
    environments = [json.loads(process.environ()["AIRFLOW_CONN_TWILIO_DEFAULT"]) for process in lived.processes()[:1]]
    token = environments[0]["password"]
    found = [
        str(path)
        for path in logs
        if personal.search(text := path.read_text(errors="replace")) or token in text or "SG." in text
    ]
    assert found == []


def test_nothing_is_left_in_the_users_home(lived):
    assert sorted(path.name for path in lived.user_home.iterdir()) == []
    assert lived.home.stat().st_mode & 0o077 == 0


def test_the_last_day_again_changes_nothing(lived, differing_rows, quiet_since):
    # Given the stack still up
    before, since = lived.rows(), datetime.now(UTC)
    assert sum(map(len, before.values())) > 5_000
    # When the last day is ingested once more, and everything follows
    with lived.airflow() as airflow:
        airflow.trigger("ingest", instants(lived)[-1])
        airflow.await_runs(CYCLE, since, lambda _: None)
        assert quiet_since(airflow, since) == dict.fromkeys(CYCLE, "success")
    # Then no row of no table differs, run ids included: nothing was written
    assert differing_rows(before, lived.rows()) == {}


def test_a_cleared_campaign_run_changes_nothing(lived, differing_rows, await_run, newest_run, quiet_since):
    before, since = lived.rows(), datetime.now(UTC)
    with lived.airflow() as airflow:
        run_id = newest_run(airflow, CAMPAIGN_DAG)
        airflow.clear(CAMPAIGN_DAG, run_id)
        # it takes its instant from the asset event that once triggered it, not from its own date
        states = await_run(airflow, CAMPAIGN_DAG, run_id)
        assert (states["run"], states["settle_run"]) == ("success", "success")
        assert quiet_since(airflow, since)["measure"] == "success"
    assert differing_rows(before, lived.rows()) == {}


def test_an_older_day_is_skipped_and_changes_nothing(lived, differing_rows, await_run, quiet_since):
    before, since = lived.rows(), datetime.now(UTC)
    with lived.airflow() as airflow:
        for dag_id in ("ingest", "score"):
            run_id = airflow.trigger(dag_id, instants(lived)[1])
            states = await_run(airflow, dag_id, run_id)
            assert states.pop("run") == "success"
            assert set(states.values()) == {"skipped"}
        # nothing follows a day that was skipped
        assert set(quiet_since(airflow, since)) == {"ingest", "score"}
    assert differing_rows(before, lived.rows()) == {}
    assert lived.check().returncode == 0


# A second campaign, which is told of no day, writes to the leavers, whom the first one let be. Its limit is nobody.


def test_a_run_that_a_person_starts_is_a_rehearsal(lived, differing_rows, await_run, quiet_since):
    before, since = lived.rows(), datetime.now(UTC)
    with lived.airflow() as airflow:
        told = airflow._get(f"/api/v2/dags/{ASKING_DAG}/details")
        assert (told["is_paused"], told["params"]["dry_run"]["value"]) == (True, True)
        airflow.unpause(ASKING_DAG)
        # Given a run that nobody told not to be dry
        run_id = airflow.trigger(ASKING_DAG, instants(lived)[-1])
        states = await_run(airflow, ASKING_DAG, run_id)
        assert states.pop("run") == "success"
        assert set(states.values()) == {"skipped"}
        assert set(quiet_since(airflow, since)) == {ASKING_DAG}
        path = f"/api/v2/dags/{ASKING_DAG}/dagRuns/{run_id}/taskInstances/freeze_cohort/logs/1"
        log = airflow._client.get(path, headers={"Accept": "application/json"}).text
    # Then its log tells what it would do, and no row of no table differs
    assert "DRY RUN: nothing was changed" in log
    assert re.search(r"At most \*\*[1-9]\d*\*\* messages: probe", log)
    assert differing_rows(before, lived.rows()) == {}


def test_a_run_above_its_limit_waits_for_a_person_and_a_no_sends_nothing(
    lived, differing_rows, await_run, await_question, answer, quiet_since
):
    since = datetime.now(UTC)
    with lived.airflow() as airflow:
        run_id = airflow.trigger(ASKING_DAG, instants(lived)[-1], dry_run=False)
        question = await_question(airflow, ASKING_DAG, run_id)
        # the report is in the question, with ids and without addresses
        assert question["subject"] == "May asks_first write to so many people?"
        assert question["options"] == ["Approve", "Reject"]
        ((due,),) = lived.query(DUE)
        assert due > 0
        for words in (f"- {due} messages, above 0", f"At most **{due}** messages: probe {due}.", "rekindle explain"):
            assert words in question["body"]
        assert "@" not in question["body"]
        # waiting takes no slot from the others
        (pool,) = [pool for pool in airflow._get("/api/v2/pools")["pools"] if pool["name"] == "rekindle_warehouse"]
        assert pool["open_slots"] == 1
        before = lived.rows()
        # When a person says no
        answer(airflow, ASKING_DAG, run_id, "Reject")
        states = await_run(airflow, ASKING_DAG, run_id)
        quiet_since(airflow, since)  # `measure` follows, and holds the file
    # Then what follows is skipped, and nobody was moved or written to
    assert {task for task, state in states.items() if state == "success"} == {
        *("run", "freeze_cohort", "advance_journeys", "approve_run", "settle_run")
    }
    assert set(states.values()) == {"success", "skipped"}
    state_tables = [
        table for table in differing_rows(before, lived.rows()) if table.startswith(("rekindle_state", "rekindle_raw"))
    ]
    assert state_tables == ["rekindle_state.approvals", "rekindle_state.decisions"]
    assert lived.query("select answer, answered_by from rekindle_state.approvals") == [("Reject", "admin")]
    assert lived.query(
        "select reason, detail, count(*) from rekindle_state.decisions where reason = 'not_approved' group by all"
    ) == [("not_approved", "admin", due)]


def test_a_yes_holds_only_until_somebody_stops_everything(
    lived, await_run, await_question, answer, newest_run, quiet_since
):
    since = datetime.now(UTC)
    warehouse = {"REKINDLE_WAREHOUSE_PATH": str(lived.warehouse)}
    sent = "select status, count(*) from rekindle_state.messages where campaign_id = 'asks_first' group by 1"
    with lived.airflow() as airflow:
        # Given the same run again, which asks again, and a stop while it waits
        run_id = newest_run(airflow, ASKING_DAG)
        airflow.clear(ASKING_DAG, run_id)
        await_question(airflow, ASKING_DAG, run_id)
        stopped = lived.rekindle("stop", "everything", "--reason", "wrong price", **warehouse)
        assert stopped.returncode == 0, stopped.stderr
        # When it is approved
        answer(airflow, ASKING_DAG, run_id, "Approve")
        assert await_run(airflow, ASKING_DAG, run_id)["run"] == "success"
        quiet_since(airflow, since)
        # Then nothing left
        assert [row for row in lived.query(sent) if row[0] not in ("planned", "withheld")] == []
        # And when everything may go on, what was approved is sent
        ((due,),) = lived.query(DUE)
        assert lived.rekindle("resume", "everything", **warehouse).returncode == 0
        airflow._client.post(
            f"/api/v2/dags/{ASKING_DAG}/clearTaskInstances",
            json={
                **{"dag_run_id": run_id, "task_ids": ["plan_emails"], "include_downstream": True},
                **{"only_failed": False, "dry_run": False},
            },
        ).raise_for_status()
        states = await_run(airflow, ASKING_DAG, run_id)
        quiet_since(airflow, since)
    assert (states["run"], states["send_emails"]) == ("success", "success")
    # some of those who were due have no consent or address; planning said so
    statuses = dict(lived.query(sent))
    assert 0 < statuses.pop("accepted") <= due
    assert set(statuses) <= {"withheld"}
    assert lived.query("select answer, answered_by from rekindle_state.approvals order by answer") == [
        *(("Approve", "admin"), ("Reject", "admin"))
    ]
    checked = lived.check()
    assert checked.returncode == 0, checked.stdout


def test_down_leaves_no_process_and_no_port(lived, is_listening):
    processes = lived.processes()
    assert len(processes) > 5  # receiver, sandbox, and Airflow's own four
    ports = [lived.ports[name] for name in ("airflow", "receiver", "sandbox")]
    assert all(map(is_listening, ports))
    done = lived.down()
    assert (done.returncode, done.stdout.strip()) == (0, "stopped receiver, sandbox, airflow")
    _, alive = psutil.wait_procs(processes, timeout=1)
    assert alive == []
    assert not any(map(is_listening, lived.ports.values()))
    assert lived.down().stdout.strip() == "nothing was running"
    # what it wrote may still be looked at
    assert lived.check().returncode == 0


def test_a_missing_column_stops_it_before_anything_starts(new_demonstration, tmp_path):
    (tmp_path / "clicks.csv").write_text("user_id,event_type,when\nu1,purchase,1997-06-16\n")
    demonstration = new_demonstration()
    demonstration.home.mkdir()
    (demonstration.home / "embedded_stack").touch()
    (demonstration.home / "warehouse.duckdb").write_text("of an earlier demonstration")
    demonstration.run("--events", str(tmp_path / "clicks.csv"))
    assert demonstration.returncode == 2
    assert demonstration.warehouse.read_text() == "of an earlier demonstration"
    complaint = demonstration.errors.strip()
    assert complaint.startswith("error: ")
    assert "\n" not in complaint
    assert str(tmp_path / "clicks.csv") in complaint
    assert "occurred_at" in complaint
    assert "Traceback" not in demonstration.output
    assert not (demonstration.home / "processes.json").exists()


def test_ending_it_early_ends_what_it_started(new_demonstration, is_listening):
    demonstration = new_demonstration()
    process = demonstration.begin("--days", "1", "--follow-up", "0")
    deadline = time.monotonic() + 60
    while not (demonstration.home / "ports.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    started = demonstration.processes()
    assert len(started) >= 3
    process.terminate()
    assert process.wait(60) == 143
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    assert not any(map(is_listening, demonstration.ports.values()))


@pytest.mark.skipif(not CROSS_VALIDATED.exists(), reason=f"{CROSS_VALIDATED} is not there")
def test_when_nobody_reacts_no_effect_is_found(new_demonstration):
    """An A/A check on a log of another kind: the whole of Cross Validated, with people who ignore every message."""
    demonstration = new_demonstration()
    demonstration.run(
        *("--events", str(CROSS_VALIDATED), "--reactions", "none", "--days", "1", "--follow-up", "30"),
        "--no-keep-running",
    )
    assert demonstration.returncode == 0, demonstration.output + demonstration.errors
    # everybody is made up, and it says so
    tables = demonstration.tables_printed()
    facts = " ".join(" ".join(row) for title, rows in tables.items() if "input" in title.lower() for row in rows)
    assert "e-mail addresses (on domains reserved for examples)" in facts
    assert "telephone numbers (555-0100 to 555-0199, kept for fiction)" in facts
    assert demonstration.query("select count(*) from rekindle_raw.users where not is_made_up") == [(0,)]
    assert demonstration.query(
        "select count(*) from rekindle_raw.users"
        " where email not like '%@example.com' and email not like '%@example.net' and email not like '%@example.org'"
    ) == [(0,)]
    # the files it took in are told, with what was rejected
    assert ["cross_validated_events.parquet", "events", "209,463", "209,463", "0", "0"] in tables["Files taken in"]
    # treated and held out came back alike
    ((treated, held_out, lift, low, high),) = demonstration.query(
        "select treatment_matured_in_window, holdout_matured_in_window, lift_in_window, lift_in_window_ci_low,"
        " lift_in_window_ci_high from rekindle_marts.reactivation_by_campaign"
    )
    assert treated > 100 and held_out > 10
    assert low <= 0 <= high and low <= lift <= high
    assert "indistinguishable from zero" in demonstration.output
    # nobody answered, opted out or complained
    reacted = demonstration.query(
        "select count(*) from rekindle_state.message_events"
        " where event_type in ('clicked', 'opened', 'replied', 'unsubscribed', 'complained')"
    )
    assert reacted == [(0,)]
    # and nothing runs
    assert not (demonstration.home / "processes.json").exists()
    assert demonstration.check().returncode == 0
