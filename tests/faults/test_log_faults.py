"""Log collection with real processes: a sender killed at any instant costs nobody else a line."""

from __future__ import annotations

import json
import logging
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Installation, RawSession, kill, wait_until

from khive_supervisor import logs

SEED = 20261121
#: Writes numbered lines as fast as it can, or so many and then says that it is done.
SENDER = """
import socket, sys
from khive_supervisor import logs
name, count, fd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sock = socket.socket(fileno=fd)
logs._replace_handlers(logs.SendingHandler(sock), "info")
log = logs.get("khive.test")
if count:
    sock.setblocking(True)
print("ready", flush=True)
number = 0
while number < count or not count:
    log.info("line", sender=name, number=number)
    number += 1
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[logs.Collector]:
    """A collector that writes into tmp_path/log."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=10**9, backups=1)
    close()
    root.handlers[:] = handlers
    root.setLevel(level)


def close() -> None:
    """Write what is there, and close the file."""
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
        handler.close()


def start(collector: logs.Collector, name: str, count: int) -> subprocess.Popen[str]:
    """A process that sends; it has begun when this returns."""
    receiving, sending = socket.socketpair(socket.AF_UNIX, logs.RECORD_SOCKET)
    with sending:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", SENDER, name, str(count), str(sending.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
            pass_fds=[sending.fileno()],
        )
    collector.add(receiving)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of a log; each must be one whole JSON object."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_sender_killed_at_any_instant_loses_and_mixes_no_other_s_lines(
    collector: logs.Collector, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    count = 3000
    sober = [start(collector, f"sober-{n}", count) for n in range(2)]
    for number in range(12):
        victim = start(collector, f"victim-{number}", 0)
        seen = (tmp_path / "log").stat().st_size + chance.randint(1, 200_000)
        wait_until(lambda seen=seen: (tmp_path / "log").stat().st_size > seen, "lines come")
        kill(victim.pid)
        victim.communicate()
    for process in sober:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        process.communicate("")
    close()
    written = lines(tmp_path / "log")
    for name in ("sober-0", "sober-1"):
        assert [e["number"] for e in written if e.get("sender") == name] == list(range(count))
    for number in range(12):
        own = [e["number"] for e in written if e.get("sender") == f"victim-{number}"]
        assert own == sorted(own)
        assert own
    assert {e["event"] for e in written} == {"line"}


def test_a_stopped_sender_holds_nobody_up(collector: logs.Collector, tmp_path: Path) -> None:
    stopped = start(collector, "stopped", 0)
    kill(stopped.pid, signal.SIGSTOP)
    try:
        other = start(collector, "other", 1000)
        assert other.stdout is not None
        assert other.stdout.readline() == "done\n"
        other.communicate("")
        logs.get("own").info("the collector's own")
        wait_until(lambda: "the collector's own" in (tmp_path / "log").read_text(), "it is written")
    finally:
        kill(stopped.pid)
        stopped.communicate()
    close()
    own = [e["number"] for e in lines(tmp_path / "log") if e.get("sender") == "other"]
    assert own == list(range(1000))


def test_a_log_that_is_not_read_blocks_no_session(khive: Installation) -> None:
    """The supervisor is stopped: nobody takes log records, and sessions serve all the same."""
    khive.configure('[log]\nlevel = "debug"\n')
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        supervisor = khive.status()["pid"]
        kill(supervisor, signal.SIGSTOP)
        try:
            for number in range(400):
                refused = session.tool("memory_remember", content="", title=str(number))
                assert refused["isError"] is True
            assert session.tool("memory_remember", content="unheard")["structuredContent"]
        finally:
            kill(supervisor, signal.SIGCONT)
        assert session.tool("memory_recall", query="unheard")["structuredContent"]["results"]
        assert session.close() == 0


def test_every_line_of_a_busy_log_is_whole_json_through_rotations(khive: Installation) -> None:
    khive.configure('[log]\nmax_bytes = "64KiB"\nbackups = 20\nlevel = "debug"\n')
    khive.start()
    for _ in range(3):
        sessions = [RawSession(khive) for _ in range(10)]
        try:
            for session in sessions:
                session.initialize()
            for session in sessions[::2]:
                kill(session.process.pid)
            for session in sessions[1::2]:
                assert session.close() == 0
        finally:
            for session in sessions:
                session.__exit__()
        wait_until(lambda: not khive.status()["sessions"], "every session is gone")
    khive.stop()
    parts = sorted(khive.log.parent.glob("khive.log*"))
    events = [event["event"] for part in parts for event in lines(part)]
    assert events.count("session.registered") == events.count("session.ended") == 30
    assert "log.garbled" not in events
