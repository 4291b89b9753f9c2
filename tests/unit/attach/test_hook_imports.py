"""The command that clients wait for: C modules only, exit 0 whatever happens, bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from khive_supervisor.attach import hook
from khive_supervisor.cli.clients.hooks import HOOK_CLIENTS, HookClient, command_name

SHOW = """
import sys
before = set(sys.modules)
import khive_supervisor.attach.hook
new = set(sys.modules) - before
files = {n: getattr(sys.modules[n], "__file__", None) for n in new}
print(*sorted(n for n, f in files.items() if f is not None and f.endswith((".py", ".pyc"))))
"""


def run(*words: str, said: bytes = b"{}", home: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", "khive_supervisor", "hook", *words]
    env = {"HOME": str(home), "PYTHONPATH": str(ROOT), "KHIVE_NO_DAEMON": "1", "PATH": "/usr/bin"}
    return subprocess.run(command, input=said, env=env, cwd=home, capture_output=True, check=False)


def log(home: Path) -> str:
    return (home / ".local/state/khive/hooks.log").read_text()


def test_it_imports_nothing_but_what_attach_does() -> None:
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r})\n{SHOW}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = {name for name in shown.stdout.split() if name.startswith("khive_supervisor")}
    assert set(shown.stdout.split()) - ours <= {
        "os",
        "os.path",
        "posixpath",
        "genericpath",
        "stat",
        "_collections_abc",
        "abc",
    }
    assert len(ours) <= 9


@pytest.mark.parametrize("client", HOOK_CLIENTS.values(), ids=list(HOOK_CLIENTS))
def test_each_event_of_a_client_has_its_name(client: HookClient) -> None:
    events = client.events
    assert {hook.EVENTS[command_name(event)] for event in events} == set(events)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["session-start"], b"{}"),
        (["no-such-hook"], b"{}"),
        (["user-prompt-submit", "--client", "codex"], b"\xff\xfe\x00garbage"),
        (["post-tool-use"], b'{"tool_response": "' + b"x" * hook.LONGEST_INPUT + b'"}'),
        (["stop", "--client"], b""),
    ],
)
def test_any_trouble_is_silence_and_a_line(words: list[str], said: bytes, tmp_path: Path) -> None:
    done = run(*words, said=said, home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert log(tmp_path).count("\n") == 1
    assert words[0] in log(tmp_path)


def test_the_log_begins_anew_when_it_is_long(tmp_path: Path) -> None:
    run("bogus", home=tmp_path)
    file = tmp_path / ".local/state/khive/hooks.log"
    file.write_text("x" * (hook.LONGEST_LOG + 1))
    run("bogus", home=tmp_path)
    assert file.stat().st_size < 200


def test_a_home_that_cannot_be_written_is_silence_too(tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("a file")
    done = run("session-start", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")


def test_help_names_the_hooks(tmp_path: Path) -> None:
    assert b"session-start" in run("--help", home=tmp_path).stdout
