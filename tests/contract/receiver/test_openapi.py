"""The OpenAPI document says what every door does: schemathesis reads it, calls a real receiver and believes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rekindle.events import list_landing_files
from rekindle.receiver import openapi_document

ROOT = Path(__file__).parents[3]
#: `make fuzz-receiver` asks for many more, and for the phases that make every single field wrong in turn.
EXAMPLES = os.environ.get("REKINDLE_SCHEMATHESIS_EXAMPLES", "5")
PHASES = os.environ.get("REKINDLE_SCHEMATHESIS_PHASES", "examples,fuzzing")
#: A door writes down first and judges later, so that nothing is lost: a call that is not as documented is a dead letter
#: and no refusal. And a sign-up that looks right may name a country or a domain that is none.
NOT_OURS = "negative_data_rejection,positive_data_acceptance"


def test_every_door_answers_as_documented_and_none_breaks_or_hangs(receiver_process: Any, tmp_path: Path) -> None:
    document, key = tmp_path / "openapi.json", tmp_path / "key.pem"
    document.write_text(openapi_document())
    key.write_bytes(receiver_process.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{ROOT / 'include'}",
        "REKINDLE_FUZZ_TOKEN_KEY": "token-key-of-the-test",
        "REKINDLE_FUZZ_TWILIO_TOKEN": "twilio-auth-token",
        "REKINDLE_FUZZ_SENDGRID_KEY": str(key),
        "NO_PROXY": "*",
    }
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", str(document)),
            *("--url", receiver_process.url, "--auth", "write-key:", "--phases", PHASES, "--max-examples", EXAMPLES),
            *("--exclude-checks", NOT_OURS, "--request-timeout", "5", "--continue-on-failure", "--no-color"),
            *("--warnings", "off"),
        ],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    told = ended.stdout + ended.stderr
    assert ended.returncode == 0, told[-6000:]
    operations = sum(map(len, json.loads(document.read_text())["paths"].values()))
    assert re.search(rf"Tested: {operations}\b", told), told[-2000:]
    # it came past the doors: something of every stream was written down
    streams = {file.parts[-3] for file in list_landing_files(receiver_process.landing)}
    assert streams >= {
        *("sendgrid_events", "twilio_status", "twilio_inbound", "link_clicks", "unsubscribes", "app_events"),
        "confirmations",
    }
    log = receiver_process.stop()
    assert "Traceback" not in log
