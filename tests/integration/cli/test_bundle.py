"""A support bundle says how everything is, and nothing of what is stored, said or secret."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

from support import Installation, wait_until

#: Planted where somebody may write something.
SECRETS = ("sk-ant-api03-Qm7xVb92LkTrYw", "hunter2Correct", "glpat-9fK2mXv7QpL3sTzR8wYb")
CONTENTS = ("flamingo", "pelican", "ibis-cwd", "heron-prompt", "osprey-log", "egret-payload",
            "stork-result", "crane-tag", "grebe-source", "kestrel-prompt", "avocet")  # fmt: skip
CONFIG = """
[embedder]
kind = "none"

[[roles]]
role = "reviewer"
task_types = ["code-review"]
workers = 1
prompt = "kestrel-prompt {password}"
handler = {{ command = ["sh", "-c", "echo osprey-log >&2; echo stork-result; exit 3", "avocet"] }}

[[channels]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:9/pelican?token={password}"
"""


def plant(khive: Installation) -> None:
    """Put something everywhere."""
    place = khive.home / "ibis-cwd"
    place.mkdir()
    said = {"session_id": "s1", "cwd": str(place), "prompt": f"heron-prompt {SECRETS[0]}"}
    khive.call_from(
        str(place), "memory.remember", content="The flamingo ledger closes.", title="pelican",
        tags=["crane-tag"], source="grebe-source",
    )  # fmt: skip
    for event in ("user-prompt-submit", "stop"):
        khive.call("hooks.command", client="claude-code", event=event, said=json.dumps(said))
    khive.call("hooks.command", client="claude-code", event="pelican", said=json.dumps(said))
    task = khive.json("assign", "--role", "reviewer", "egret-payload")["task"]
    ended = ("failed", "dead", "queued")
    wait_until(lambda: khive.json("task", task)["state"] in ended, "the task was tried")
    with khive.log.open("a") as log:
        log.write(json.dumps({"ts": "t", "event": "pelican flamingo", "text": SECRETS[2]}) + "\n")
        log.write(f"no record, but osprey-log {SECRETS[1]}\n")


def everything(bundle: Path) -> str:
    """Every byte of what is in it, and the names."""
    with zipfile.ZipFile(bundle) as found:
        assert found.testzip() is None
        parts = [found.read(name).decode() for name in found.namelist()]
        return "\n".join([*found.namelist(), *parts])


def test_a_bundle_has_no_contents_and_no_secrets(khive: Installation) -> None:
    khive.configure(CONFIG.format(password=SECRETS[1]))
    khive.start()
    plant(khive)
    bundle = khive.home / "bundle.zip"
    environment = {"KHIVE_ACTOR": "pelican", "OPENAI_API_KEY": SECRETS[0]}
    done = khive.run("doctor", "--bundle", str(bundle), "--json", code=None, **environment)
    assert bundle.exists(), done.stderr
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    text = everything(bundle)
    for planted in (*SECRETS, *CONTENTS, str(khive.home)):
        assert planted not in text, planted
    assert '"name": "store"' in text  # doctor's checks
    assert '"name": "zygote"' in text
    assert '"event": "session.registered"' in text
    assert '"schema": 1' in text
    assert "call|memory.remember,command|" in text
    assert '"roles[0].role": "(8 characters)"' in text
    again = khive.run("doctor", "--bundle", str(bundle), code=2)
    assert "File exists" in again.stderr


def test_a_bundle_can_be_made_when_nothing_works(khive: Installation) -> None:
    khive.configure(f'[store]\nurl = "{SECRETS[1]}"\nnothing = "flamingo"\n')
    bundle = khive.home / "bundle.zip"
    khive.run("doctor", "--bundle", str(bundle), code=9)
    text = everything(bundle)
    assert "flamingo" not in text
    assert SECRETS[1] not in text
    assert '"missing": "NotRunning"' in text
    assert '"valid": false' in text
