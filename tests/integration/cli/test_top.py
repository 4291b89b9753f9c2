"""`top` in a real pseudo-terminal, beside a real supervisor."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Installation, installed, wait_until
from terminal_support import PseudoTerminal

ROLE = """
[[roles]]
role = "reviewer"
task_types = ["code-review"]
handler = { command = ["sleep", "600"] }
budget = { weekly = 50.0 }

[[roles]]
role = "builder"
task_types = ["build"]
handler = { command = ["sh", "-c", "for i in $(seq 900); do echo step $i >&2; sleep 0.2; done"] }
"""
EVIL = "mend\x1b]0;owned\x07 the \x1b[2Jledger"
LEAVES, COMES = b"\x1b[?1049l", b"\x1b[?1049h"


@pytest.fixture(scope="module")
def khive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("top") / "h") as made:
        made.configure(ROLE)
        made.start()
        yield made


def top(khive: Installation, *words: str, **environment: str) -> PseudoTerminal:
    return PseudoTerminal(
        [*khive.argv, "top", "--every", "0.2", *words], {**khive.env, **environment}
    )


def prompted(khive: Installation, prompt: str) -> None:
    """Have a hook of this process tell of a session."""
    said = json.dumps({"session_id": "s1", "cwd": str(khive.home), "prompt": prompt})
    khive.call("hooks.command", client="claude-code", event="user-prompt-submit", said=said)


def test_it_shows_what_runs_within_80_by_24_and_ends_with_q(khive: Installation) -> None:
    prompted(khive, EVIL)
    task = khive.json("assign", "--role", "reviewer", "look")["task"]
    with top(khive) as terminal:
        before = terminal.modes()
        terminal.until("zygote")
        shown = terminal.until("at work")
        assert terminal.modes() != before
        for words in ("reviewer", "$0 of $50 week", task, "SESSIONS", "q quit"):
            assert words in shown
        assert b"\x1b]0;" not in terminal.raw
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.raw.startswith(COMES)
        assert LEAVES in terminal.raw
        assert terminal.modes() == before
    khive.run("cancel", task)


def test_a_change_is_seen_and_a_role_drained_and_resumed(khive: Installation) -> None:
    with top(khive) as terminal:
        terminal.until("reviewer")
        task = khive.json("assign", "--role", "reviewer", "look")["task"]
        terminal.until(task)
        terminal.press("/" + task + "\r")
        terminal.until("none has what you look for")
        terminal.press("c")
        terminal.until(f"Cancel {task}?")
        terminal.press("y")
        terminal.until("cancelled")
        terminal.press("\x1b")
        terminal.until("reviewer")
        terminal.press("/zygote\r")
        terminal.until("none has what you look for")
        terminal.press("\x1b")
        terminal.press("/$0 of $50\r")
        terminal.until("filter: $0")
        terminal.press("d")
        terminal.until("Drain reviewer?")
        terminal.press("x")
        terminal.until("Nothing was changed.")
        assert khive.status()["roles"][0]["in_service"]
        terminal.press("d")
        terminal.until("Drain reviewer?")
        terminal.press("y")
        terminal.until("reviewer is out of service.")
        terminal.press("r")
        terminal.until("back in service?")
        terminal.press("y")
        terminal.until("reviewer is in service.")
        wait_until(lambda: khive.status()["roles"][0]["in_service"], "the role serves")
        terminal.press("\x03")
        assert terminal.end() == 0


def test_it_looks_into_a_row_follows_the_log_and_helps(khive: Installation) -> None:
    with top(khive) as terminal:
        terminal.until("reviewer")
        terminal.press("/reviewer\r")
        terminal.press("\r")
        terminal.until("workers wanted")
        terminal.press("\x1b")
        terminal.until("SESSIONS")
        terminal.press("L")
        terminal.until("session.registered")
        terminal.press("?")
        terminal.until("drain the chosen role")
        terminal.press("\x1b[D")
        terminal.until("SESSIONS")
        terminal.press("q")
        assert terminal.end() == 0


def test_the_log_of_a_task_at_work_is_seen_as_it_grows(khive: Installation) -> None:
    task = khive.json("assign", "--role", "builder", "site")["task"]
    with top(khive) as terminal:
        terminal.until(task)
        terminal.press("/builder build\r")
        terminal.until("filter: builder")
        terminal.press("\r")
        for step in ("step 12", "step 20"):
            terminal.until(step)
        terminal.press("q")
    khive.run("cancel", task)


def test_it_follows_the_size_of_the_terminal(khive: Installation) -> None:
    with top(khive) as terminal:
        terminal.until("q quit")
        terminal.resize(40, 10)
        terminal.until("q quit", gone=True)
        shown = terminal.until("PROCESSES").splitlines()
        assert len(shown) == 10
        terminal.resize(200, 50)
        terminal.until("q quit")
        assert "restarts" in terminal.text.lower()
        terminal.press("q")
        assert terminal.end() == 0


def test_no_color_means_none(khive: Installation) -> None:
    with top(khive, NO_COLOR="1") as terminal:
        terminal.until("zygote")
        terminal.press("q")
        assert terminal.end() == 0
        for colour in (b"\x1b[31", b"\x1b[32m", b"\x1b[33m", b"\x1b[1;31m"):
            assert colour not in terminal.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_it_and_the_terminal_is_as_before(
    khive: Installation, number: signal.Signals
) -> None:
    with top(khive) as terminal:
        before = terminal.modes()
        terminal.until("zygote")
        os.kill(terminal.pid, number)
        assert terminal.end() == 0
        assert terminal.modes() == before
        assert terminal.raw.rstrip().endswith(LEAVES)


def test_it_gives_the_terminal_to_the_shell_and_takes_it_again(khive: Installation) -> None:
    with top(khive) as terminal:
        before = terminal.modes()
        terminal.until("zygote")
        terminal.press("\x1a")
        wait_until(lambda: terminal.take() and LEAVES in terminal.raw, "it leaves the screen")
        wait_until(lambda: terminal.modes() == before, "the modes are as before")
        terminal.raw = b""
        os.kill(terminal.pid, signal.SIGCONT)
        wait_until(lambda: terminal.take() and COMES in terminal.raw, "it is back")
        terminal.press("q")
        assert terminal.end() == 0


def test_once_prints_and_ends(khive: Installation, tmp_path: Path) -> None:
    shown = khive.run("top", "--once").stdout
    assert "reviewer" in shown
    assert "\x1b" not in shown
    assert khive.run("top").stdout.splitlines()[2:] != []  # a pipe gets one look, too
    assert khive.json("top", "--once")["roles"][0]["role"] == "reviewer"
    with installed(tmp_path / "other") as nobody:
        done = nobody.run("top", "--once", code=5)
        assert "No supervisor is running" in done.stderr


@pytest.mark.long
def test_it_says_that_the_supervisor_went_and_goes_on_with_the_next(tmp_path: Path) -> None:
    with installed(tmp_path / "h") as khive, top(khive) as terminal:  # it starts none, and waits
        terminal.until("No supervisor is running")
        assert khive.status_or_none() is None
        khive.start()
        terminal.until("zygote")
        khive.stop()
        terminal.until("away:")
        assert "zygote" in terminal.text  # what was known last stays to be read
        khive.start()
        terminal.until("away:", gone=True)
        terminal.press("q")
        assert terminal.end() == 0
