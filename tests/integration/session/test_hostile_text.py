"""Whatever is stored, a terminal obeys none of it, and a line of output stays one line."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from support import DEADLINE, Installation, RawSession, installed, store_of, wait_until

from khive_supervisor import exitcodes

#: Sets the title, colours, clears, goes back, C1's CSI, turns the direction, ends lines.
ACTS = "\x1b]0;owned\x07\x1b[31m\x1b[2J\r\x08\x7f\x9b31m\x85\u202e\u2066\u061c\u200f\u2028\u2029"
#: The mark stands at the beginning of a line only if a field could end its own.
HOSTILE, FIELD = f"heron {ACTS}\nFORGED line", f"heron {ACTS}\nFORGED field"
OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
OURS = re.compile(r"\x1b\[(?:1;3[123]|0)m")

CONFIG = """
[embedder]
kind = "none"
[[roles]]
role = "worker"
task_types = ["x"]
handler = {{ python = "handlers:work" }}
cwd = "{directory}"
[[roles]]
role = "broken"
task_types = ["y"]
handler = {{ python = "handlers:fail" }}
attempts = 1
cwd = "{directory}"
"""
HANDLERS = """
def work(context, payload):
    context.progress(payload)
    print(payload)
    return {"key " + payload: [payload]}
def fail(context, payload):
    raise ValueError(payload)
"""


@pytest.fixture(scope="module")
def khive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A supervisor whose store, log and sessions hold hostile text in every field."""
    with installed(tmp_path_factory.mktemp("hostile") / "h") as khive:
        directory = khive.home / "handlers"
        directory.mkdir()
        (directory / "handlers.py").write_text(HANDLERS)
        khive.configure(CONFIG.format(directory=directory))
        khive.start()
        with RawSession(khive, KHIVE_ACTOR=f"actor {ACTS}") as session:
            client = {"name": FIELD, "version": FIELD}
            params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
            session.request("initialize", params)
            fill(khive, session)
            yield khive


def fill(khive: Installation, session: RawSession) -> None:
    memory = {"title": FIELD, "tags": [FIELD], "source": FIELD}
    stored = session.tool("memory_remember", content=HOSTILE, **memory)
    assert not stored["isError"], stored
    session.tool("knowledge_learn", entries=[{"content": f"document {HOSTILE}", **memory}])
    khive.run("create-profile", "odd", "--description", HOSTILE)
    session.tool("brain_feedback", target="m1", signal="useful")
    for role in ("worker", "broken"):
        given = session.tool("agents_assign", role=role, payload=HOSTILE,
                             idempotency_key=f"{role} {FIELD}")  # fmt: skip
        session.tool("agents_wait", task=given["structuredContent"]["task"])
    folder = khive.home / "documents"
    folder.mkdir()
    (folder / f"odd {ACTS}\nFORGED.md").write_text(f"# {HOSTILE}\n\nkingfisher {HOSTILE}\n")
    (folder / f"binary {ACTS}\nFORGED.md").write_bytes(b"\0\1\2")
    with khive.log.open("ab") as log:
        log.write(f"a line of no kind {ACTS}\n".encode())
        log.write(json.dumps({"ts": ACTS, "event": FIELD, FIELD: FIELD}).encode() + b"\n")
    with store_of(khive) as store:
        wait_until(lambda: all(task.ended for task in store.tasks.page()), "the tasks have ended")


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("recall", "heron"),
    ("recall", "heron", "--explain"),
    ("search", "document heron"),
    ("suggest", "heron"),
    ("get", "m1", "k2"),
    ("get", "m1", HOSTILE.replace("\0", "")),
    ("remember", f"again {HOSTILE}", "--tag", "b\x1b[31m\nFORGED"),
    ("forget", "m1", "m999"),
    ("forget", "--undo", "m1"),
    ("supersede", "m99\x1b[31m", "x"),
    ("learn", "documents"),
    ("tasks",),
    ("task", "t1"),
    ("task", "t2"),
    ("retry", "t2"),
    ("cancel", "t1"),
    ("roles",),
    ("budget",),
    ("budget", "no\x1b[31m"),
    ("profiles",),
    ("profile", "odd"),
    ("profile", "no\x1b[31m"),
    ("bindings",),
    ("resolve",),
    ("audit", "show"),
    ("status",),
    ("logs",),
    ("logs", "-n", "5"),
    ("doctor",),
    ("worktrees",),
    ("index", "status"),
    ("config", "show"),
    ("assign", HOSTILE, "--role", "worker", "--wait"),
    ("assign", HOSTILE, "--role", "no\x1b[31m"),
    ("assign", HOSTILE, "--role", "broken", "--wait"),
    ("call", "memory.get", 'ids=["m1"]'),
    ("call", "no\x1b[31m.verb"),
    ("no\x1b[31m",),
    ("recall", "x", "--limit", "\x1b[31m"),
    ("recall", "x", "--since", "\x1b[31m"),
    ("verbs", "\x1b[31m"),
)


def check(text: str, *, lines: bool = True) -> None:
    found = OBEYED.search(OURS.sub("", text.replace("\r\n", "\n")))
    assert found is None, text[max(0, found.start() - 80) :][:160]
    if lines:
        forged = re.search(r"(?m)^FORGED(?! line$)", text)
        assert forged is None, text[max(0, forged.start() - 80) :][:160]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2])[:30])
def test_nothing_that_is_stored_acts_on_a_terminal(
    khive: Installation, words: tuple[str, ...]
) -> None:
    done = khive.run(*words, code=None)
    assert "Traceback" not in done.stderr, done.stderr
    check(done.stdout)
    check(done.stderr)
    if words[0] in ("recall", "get", "task", "logs", "status") and len(words) < 4:
        said = khive.run(*words, "--json", code=None)
        check(said.stdout, lines=False)
        check(said.stderr, lines=False)


@pytest.mark.parametrize("words", [("recall", "heron"), ("tasks",), ("profile", "odd")])
def test_a_terminal_gets_our_colours_alone(khive: Installation, words: tuple[str, ...]) -> None:
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            [*khive.argv, *words], env={**khive.env, "TERM": "xterm"}, cwd=khive.home,
            stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        text = read_all(master)
        assert process.wait(DEADLINE) == 0
    finally:
        os.close(master)
    check(text)


def read_all(master: int) -> str:
    data = b""
    while select.select([master], [], [], DEADLINE)[0]:
        try:
            part = os.read(master, 1 << 16)
        except OSError:  # Linux says so at the other end's last close
            break
        if not part:
            break
        data += part
    return data.decode()


# --- output that cannot be written --------------------------------------------------------------

PRINTING = [
    ("recall", "heron"),
    ("recall", "heron", "--json"),
    ("logs", "-n", "2000"),
    ("tasks",),
    ("completion", "bash"),
    ("--help",),
]


def into(khive: Installation, words: tuple[str, ...], redirection: str) -> Any:
    command = " ".join(f"'{word}'" for word in [*khive.argv, *words])
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", f"{command} {redirection}"],
        env=khive.env, cwd=khive.home, capture_output=True, timeout=DEADLINE, check=False,
    )  # fmt: skip


#: The ways of printing are few: the other commands are tried with the long tests.
SOME_PRINTING = [
    pytest.param(words, id=" ".join(words), marks=[pytest.mark.long] if number >= 3 else [])
    for number, words in enumerate(PRINTING)
]


@pytest.mark.parametrize("words", SOME_PRINTING)
def test_a_full_device_is_said_in_a_line(khive: Installation, words: tuple[str, ...]) -> None:
    done = into(khive, words, "> /dev/full")
    assert done.returncode == exitcodes.OUTPUT_LOST
    assert done.stderr == (b"error: The output cannot be written: No space left on device.\n")


@pytest.mark.parametrize("words", SOME_PRINTING)
def test_a_closed_output_is_the_null_device(khive: Installation, words: tuple[str, ...]) -> None:
    done = into(khive, words, ">&-")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", SOME_PRINTING)
def test_a_reader_that_has_enough_is_no_failure(
    khive: Installation, words: tuple[str, ...]
) -> None:
    done = into(khive, words, "| true")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "redirection", ["2> /dev/full", "2>&-", "> /dev/full 2>&1", "<&- >&- 2>&-"]
)
def test_errors_that_cannot_be_said_keep_an_exit_code(
    khive: Installation, redirection: str
) -> None:
    done = into(khive, ("get", "m999"), redirection)
    assert done.returncode in (exitcodes.FAILURE, exitcodes.OUTPUT_LOST)
    assert b"Traceback" not in done.stderr + done.stdout
