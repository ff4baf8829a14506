"""The embedded stack: its folder, its ports, its environment, and what it stops."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from rekindle.demo import stack as stack_module
from rekindle.demo.stack import EventKinds, Ports, Stack, StackError, stop_stack
from rekindle.errors import RekindleError

ROOT = Path(__file__).parents[3]
KINDS = EventKinds(login=("logged_in",), key_action=("purchase", "order_completed"), passive=("badge_earned",))
#: Answers SIGTERM late, and has a child that ignores it.
STUBBORN = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def start():
    """Starts Python programs in sessions of their own, as the stack does; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def run(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def home(tmp_path):
    """A folder in which a stack lives."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def remember(home, **processes):
    """Write what `Stack.start` writes: name → pid and when it began."""
    found = {name: [process.pid, psutil.Process(process.pid).create_time()] for name, process in processes.items()}
    (home / "processes.json").write_text(json.dumps(found))


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_fresh_makes_a_folder_for_its_owner_alone(tmp_path):
    stack = Stack.fresh(tmp_path / "deep" / "home")
    assert stack.home.is_dir()
    assert stack.home.stat().st_mode & 0o777 == 0o700


def test_fresh_stops_what_runs_there_and_empties_it(tmp_path, start):
    # Given a stack that left files and is still running
    home = Stack.fresh(tmp_path / "home").home
    receiver = start("import time; print('up', flush=True); time.sleep(600)")
    receiver.stdout.readline()
    remember(home, receiver=receiver)
    (home / "landing" / "sendgrid_events").mkdir(parents=True)
    (home / "warehouse.duckdb").write_text("old")
    # When another begins
    Stack.fresh(home)
    # Then nothing of the old one is left
    receiver.wait(10)
    assert not (home / "warehouse.duckdb").exists()
    assert not (home / "landing").exists()
    assert not (home / "processes.json").exists()


def test_fresh_does_not_empty_a_folder_that_is_no_stacks(home):
    (home / "chapter_1.txt").write_text("years of work")
    with pytest.raises(RekindleError, match=re.escape(str(home))):
        Stack.fresh(home)
    assert (home / "chapter_1.txt").read_text() == "years of work"


def test_an_empty_folder_is_taken(home):
    assert Stack.fresh(home).home == home


def test_secrets_are_drawn_anew(tmp_path):
    first, second = Stack.fresh(tmp_path / "home"), Stack.fresh(tmp_path / "home")
    for name in ("twilio_token", "sendgrid_key", "token_key", "write_key", "password", "fernet_key"):
        assert getattr(first, name) != getattr(second, name)
        assert len(getattr(first, name)) >= 12
    assert re.fullmatch(r"SG\.[\w-]{22}\.[\w-]{43}", first.sendgrid_key)


def test_ports_avoid_those_that_are_taken():
    # Given somebody who listens where the stack likes to
    ports = Ports.find()
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", ports.receiver))
        somebody.listen()
        others = Ports.find()
    assert others.receiver > ports.receiver


def test_ports_avoid_those_that_somebody_holds_on_every_address():
    ports = Ports.find()
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("0.0.0.0", ports.sandbox))
        somebody.listen()
        assert Ports.find().sandbox > ports.sandbox


def test_ports_are_all_different_even_when_their_ranges_overlap(monkeypatch):
    # 8290 to 8389 taken: the receiver moves up into the sandbox's range
    class Probe(socket.socket):
        def connect_ex(self, address):
            return 0 if 8290 <= address[1] < 8390 else 111

    monkeypatch.setattr(stack_module.socket, "socket", Probe)
    ports = Ports.find()
    assert (ports.receiver, ports.sandbox) == (8390, 8391)


def test_no_free_port_is_told_in_one_sentence(monkeypatch):
    class Probe(socket.socket):
        def connect_ex(self, address):
            return 0

    monkeypatch.setattr(stack_module.socket, "socket", Probe)
    with pytest.raises(StackError, match="no free port between 8080 and 8280"):
        Ports.find()


def test_stop_takes_children_and_the_stubborn(home, start, monkeypatch):
    process = start(STUBBORN)
    child = int(process.stdout.readline())
    assert process.stdout.readline() == "up\n"  # from now on it ignores SIGTERM
    monkeypatch.setattr(stack_module.psutil, "wait_procs", _hurried(psutil.wait_procs))
    remember(home, airflow=process)
    assert stop_stack(home) == ["airflow"]
    process.wait(10)
    assert not is_alive(child)
    assert stop_stack(home) == []


def _hurried(wait_procs):
    return lambda processes, timeout: wait_procs(processes, timeout=min(timeout, 0.5))


def test_stop_leaves_a_stranger_alone_who_was_given_the_number(home, start):
    # Given a process that began after the one that was remembered had died
    stranger = start("import time; print('up', flush=True); time.sleep(600)")
    stranger.stdout.readline()
    began = psutil.Process(stranger.pid).create_time()
    (home / "processes.json").write_text(json.dumps({"receiver": [stranger.pid, began - 3_600]}))
    assert stop_stack(home) == []
    time.sleep(0.2)
    assert stranger.poll() is None


def test_stop_takes_only_those_that_are_named_and_remembers_the_others(home, start):
    worker, scheduler = (start("import time; print('up', flush=True); time.sleep(600)") for _ in range(2))
    remember(home, worker=worker, scheduler=scheduler)
    assert stop_stack(home, ["worker", "nobody"]) == ["worker"]
    worker.wait(10)
    assert scheduler.poll() is None
    assert stop_stack(home) == ["scheduler"]


def test_stop_of_what_died_long_ago(home, start):
    process = start("pass")
    remember(home, receiver=process)
    process.wait(10)
    assert stop_stack(home) == []
    assert not (home / "processes.json").exists()


def test_stop_where_nothing_ever_ran(tmp_path):
    assert stop_stack(tmp_path / "nowhere") == []


@pytest.fixture
def outer(monkeypatch):
    """An environment full of what must not reach the stack."""
    secrets = {
        "SENDGRID_API_KEY": "outer-secret-1",
        "TWILIO_AUTH_TOKEN": "outer-secret-2",
        "AWS_SECRET_ACCESS_KEY": "outer-secret-3",
        "DATABASE_URL": "postgres://user:outer-secret-4@db.example.com/crm",
        "AIRFLOW_CONN_WAREHOUSE": "snowflake://user:outer-secret-5@account/db",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://user:outer-secret-6@db.example.com/airflow",
        "REKINDLE_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "outer-secret-7",
        "GITHUB_TOKEN": "outer-secret-8",
        "HTTP_PROXY": "http://user:outer-secret-9@proxy.example.com:3128",
        "https_proxy": "http://proxy.example.com:3128",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSTARTUP": "/somewhere/outer-secret-10.py",
        "AIRFLOW_HOME": "/opt/airflow",
        "REKINDLE_WAREHOUSE_PATH": "/data/production.duckdb",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    return secrets


@pytest.fixture
def environment(outer, tmp_path):
    """The stack's environment, made in the outer one."""
    stack = Stack.fresh(tmp_path / "home")
    return stack, stack.environment(KINDS)


def test_no_secret_of_the_outer_environment_gets_in(environment):
    _, variables = environment
    assert [name for name, value in variables.items() if "outer-secret" in value] == []


def test_what_a_process_needs_from_the_user_is_kept(environment):
    _, variables = environment
    assert variables["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert variables["HOME"] == os.environ["HOME"]
    assert "PYTHONDONTWRITEBYTECODE" not in variables


def test_every_url_points_at_this_machine(environment):
    _, variables = environment
    urls = [url for value in variables.values() for url in re.findall(r"https?://[^\s\"']+", value)]
    assert len(urls) >= 6
    assert {urlsplit(url).hostname for url in urls} == {"127.0.0.1"}
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_everything_is_written_below_the_stacks_home(environment):
    stack, variables = environment
    written = {name: value for name, value in variables.items() if name.endswith(("_ROOT", "_HOME", "_FILE", "_PATH"))}
    del written["REKINDLE_PROJECT_ROOT"]
    ours = {name: value for name, value in written.items() if name.startswith(("AIRFLOW", "REKINDLE"))}
    assert len(ours) >= 7
    assert {name: value for name, value in ours.items() if not Path(value).is_relative_to(stack.home)} == {}


def test_it_says_which_events_mean_what_and_leaves_the_days_to_the_demonstration(environment):
    _, variables = environment
    assert variables["REKINDLE_LOGIN_EVENTS"] == "logged_in"
    assert variables["REKINDLE_KEY_ACTION_EVENTS"] == "purchase,order_completed"
    assert variables["REKINDLE_PASSIVE_EVENTS"] == "badge_earned"
    assert variables["REKINDLE_DAILY_SCHEDULE"] == ""
    assert variables["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert variables["AIRFLOW__COSMOS__ENABLE_TELEMETRY"] == "False"


def test_secrets_on_disk_are_for_their_owner_alone(environment):
    stack, _ = environment
    for name in ("airflow_passwords.json", "sendgrid_signing_key.pem"):
        assert (stack.home / name).stat().st_mode & 0o077 == 0, name
    assert json.loads((stack.home / "airflow_passwords.json").read_text()) == {"admin": stack.password}


def test_the_environment_is_the_same_when_asked_again(environment):
    stack, variables = environment
    again = stack.environment(KINDS)
    assert {name for name in again.keys() | variables.keys() if again.get(name) != variables.get(name)} <= {
        "PYTEST_CURRENT_TEST"
    }


def test_airflow_reads_the_connections(environment, tmp_path):
    """In a process of its own: Airflow reads its settings at import, and these tests import none of it."""
    stack, variables = environment
    program = (
        "import json\n"
        "from rekindle_airflow.connections import sendgrid_account, twilio_account\n"
        "s, t = sendgrid_account(), twilio_account()\n"
        "print(json.dumps([s.base_url, s.api_key.get_secret_value(), t.base_url, t.lookup_base_url, t.username,"
        " t.secret.get_secret_value(), t.account_sid, t.messaging_service_sid, t.status_callback_base_url]))\n"
    )
    stack.clock.step_to(datetime(2026, 3, 2, 20, tzinfo=UTC))
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [
        stack.sandbox_url,
        stack.sendgrid_key,
        stack.sandbox_url,
        stack.sandbox_url,
        stack.account_sid,
        stack.twilio_token,
        stack.account_sid,
        "MG" + "0" * 32,
        stack.receiver_url,
    ]


def test_the_clock_is_the_one_every_process_reads(environment):
    stack, variables = environment
    stack.clock.step_to(datetime(2026, 3, 2, 20, tzinfo=UTC))
    assert Path(variables["REKINDLE_CLOCK_FILE"]).read_text() == "2026-03-02T20:00:00+00:00"


def test_a_part_that_dies_while_starting_is_named_with_the_end_of_its_log(home, start):
    stack = Stack.fresh(home)
    process = start("pass")
    remember(home, sandbox=process)
    process.wait(10)
    stack.logs.mkdir()
    (stack.logs / "sandbox.log").write_text("first\n" * 40 + "OSError: port is in use\n")
    with pytest.raises(StackError, match="sandbox stopped while starting") as died:
        stack._await("sandbox", "http://127.0.0.1:9/healthz", lambda answer: True)
    assert str(stack.logs / "sandbox.log") in str(died.value)
    assert "OSError: port is in use" in str(died.value)
    assert str(died.value).count("first") < 20
