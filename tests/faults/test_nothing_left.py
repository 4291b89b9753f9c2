"""After the stop: no process, socket, temporary file or inotify instance, and a tidy HOME."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import pytest
from support import Installation, RawSession, kill, wait_until

#: What may stay, below HOME: the store with its index and its pipes, the log, and locked files.
KEPT = {
    ".local/share/khive/khive.db",
    ".local/share/khive/khive.db-place",
    ".local/share/khive/khive.db-turn/pipe",
    ".local/share/khive/khive.db.lock",
    ".local/share/khive/index/.builder.lock",
    ".local/state/khive/khive.log",
}
#: The files of one generation of the index.
GENERATION = re.compile(r"\.local/share/khive/index/[1-9][0-9]*\.[a-z]+")


@pytest.fixture
def watched(khive: Installation, tmp_path: Path) -> Installation:
    """An installation with a directory of its own for temporary files."""
    (tmp_path / "tmp").mkdir()
    khive.env["TMPDIR"] = str(tmp_path / "tmp")
    return khive


def files(khive: Installation) -> set[str]:
    """Everything below HOME that is no directory."""
    return {
        str(path.relative_to(khive.home)) for path in khive.home.rglob("*") if not path.is_dir()
    }


def inotify_instances(khive: Installation) -> int:
    """How many the processes of an installation hold."""
    found = 0
    for pid in khive.processes():
        try:
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                found += os.readlink(fd).endswith("inotify")
        except OSError:
            continue  # it has ended meanwhile
    return found


def work(khive: Installation) -> None:
    """A session, a command line, an index."""
    lines = (json.dumps({"content": f"entry {number}"}) for number in range(40))
    (khive.home / "a.jsonl").write_text("\n".join(lines))
    khive.run("learn", "a.jsonl")
    (khive.home / "a.jsonl").unlink()
    khive.call("index.build")
    with RawSession(khive) as session:
        session.initialize()
        session.tool("memory_remember", content="something to keep")
        session.tool("memory_recall", query="keep")
        wait_until(lambda: khive.status()["index"]["state"] == "in use", "there is an index")
        session.tool("memory_recall", query="keep it")
        assert session.close() == 0


def check_nothing_is_left(khive: Installation) -> None:
    wait_until(khive.gone, "every process is gone")
    generations = {name for name in files(khive) if GENERATION.fullmatch(name)}
    assert files(khive) - generations == KEPT
    assert len({Path(name).stem for name in generations}) in (1, 2)
    assert list(Path(khive.env["TMPDIR"]).iterdir()) == []
    assert list(Path(khive.socket).parent.iterdir()) == []


def test_a_stop_leaves_the_store_and_the_log_and_nothing_else(watched: Installation) -> None:
    work(watched)
    assert inotify_instances(watched) <= 1
    watched.run("stop")
    check_nothing_is_left(watched)


@pytest.mark.long
def test_a_supervisor_that_was_killed_is_cleaned_up_by_the_next(watched: Installation) -> None:
    work(watched)
    for _ in range(2):
        for pid in watched.processes():
            kill(pid)
        wait_until(watched.gone, "every process is gone")
        watched.start()
    watched.run("stop")
    check_nothing_is_left(watched)


def test_sessions_that_outlive_the_supervisor_leave_nothing_either(watched: Installation) -> None:
    work(watched)
    with RawSession(watched) as session:
        session.initialize()
        watched.run("stop")
        session.tool("memory_remember", content="after the stop")
        assert session.close() == 0
    check_nothing_is_left(watched)


def test_a_start_that_fails_leaves_nothing(watched: Installation) -> None:
    watched.configure("[supervisor]\nnonsense = 1\n")
    for words in (("start",), ("start", "--background"), ("attach",), ("recall", "x")):
        assert watched.run(*words, code=None).returncode != 0
    assert files(watched) == {".config/khive/khive.toml"}
    assert list(Path(watched.env["TMPDIR"]).iterdir()) == []
    assert watched.gone()


def test_a_session_alone_leaves_the_store_and_nothing_else(watched: Installation) -> None:
    with RawSession(watched, KHIVE_NO_DAEMON="1") as session:
        session.initialize()
        session.tool("memory_remember", content="alone")
        assert session.close() == 0
    wait_until(watched.gone, "every process is gone")
    store = ".local/share/khive/khive.db"
    beside = {store + "-place", store + "-turn/pipe"}
    assert files(watched) == {store} | beside


def test_help_and_questions_leave_nothing_at_all(watched: Installation) -> None:
    for words in (("--help",), ("attach", "--help"), ("verbs",), ("status",), ("config", "show")):
        watched.run(*words, code=None)
    assert list(watched.home.iterdir()) == []


def test_many_sessions_leave_no_descriptor_and_no_memory_behind(watched: Installation) -> None:
    watched.start()
    pids = {c["name"]: c["pid"] for c in watched.status()["children"]}
    pids["supervisor"] = watched.status()["pid"]

    def descriptors() -> dict[str, int]:
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}

    def visit() -> None:
        with RawSession(watched) as session:
            session.initialize()
            session.tool("memory_recall", query="x")
            assert session.close() == 0
        watched.call("system.status")

    visit()
    wait_until(lambda: not watched.status()["sessions"], "the first visitors are gone")
    before = descriptors()
    for _ in range(15):
        visit()
    # Log ends and links of who has left are closed as their end is read.
    wait_until(
        lambda: all(now <= before[name] + 1 for name, now in descriptors().items()),
        f"all have closed what they had; {before} before",
        20,
    )


def test_no_child_inherits_a_client_s_pipes(watched: Installation) -> None:
    with RawSession(watched) as session:
        session.initialize()
        pipe = os.readlink(f"/proc/self/fd/{session.stdin.fileno()}")
        holders = set()
        for pid in watched.processes():
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(fd) == pipe:
                        holders.add(pid)
        (worker,) = wait_until(lambda: watched.status()["sessions"], "the worker is registered")
        assert holders == {session.process.pid, worker["pid"]}
        assert session.close() == 0
