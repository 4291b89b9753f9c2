"""Log collection: nobody's line is lost, mixed or delayed by another process's misfortune."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import wait_until

from khive_supervisor import logs


@pytest.fixture(autouse=True)
def own_root() -> Iterator[None]:
    """The root logger as pytest has it, whatever a test made of it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, logs.SendingHandler]]:
    receiving, sending = socket.socketpair(socket.AF_UNIX, logs.RECORD_SOCKET)
    sender = logs.SendingHandler(sending)
    yield receiving, sender
    sender.close()
    receiving.close()


def record(event: str, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "t", "levelno": 20, "levelname": "INFO", "msg": event})
    made.fields = fields
    return made


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def close_root() -> None:
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
        handler.close()


def test_an_event_is_one_line_with_its_fields(tmp_path: Path) -> None:
    logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=10**6, backups=1)
    log = logs.get("khive.test")
    log.info("it.happened", count=3, path=tmp_path, text="two\nlines, \x1b[31m and \udcff")
    log.debug("it.did_not")
    close_root()
    (line,) = lines(tmp_path / "log")
    assert line["event"] == "it.happened"
    assert (line["level"], line["logger"], line["pid"]) == ("info", "khive.test", os.getpid())
    assert (line["count"], line["path"]) == (3, str(tmp_path))
    assert "two\nlines" in line["text"]
    assert line["ts"].endswith("Z")


def test_a_traceback_is_in_the_line(tmp_path: Path) -> None:
    logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=10**6, backups=1)
    try:
        raise ValueError("the reason")
    except ValueError:
        logging.getLogger("x").exception("failed")
    close_root()
    assert "ValueError: the reason" in lines(tmp_path / "log")[0]["traceback"]


def test_what_was_sent_before_the_end_is_written(tmp_path: Path) -> None:
    collector = logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=10**6, backups=1)
    receiving, sending = socket.socketpair(socket.AF_UNIX, logs.RECORD_SOCKET)
    sender = logs.SendingHandler(sending)
    for number in range(150):
        sender.emit(record("line", number=number))
    collector.add(receiving)
    logs.get("own").info("last")
    close_root()
    sender.close()
    written = lines(tmp_path / "log")
    assert [line["number"] for line in written if line["event"] == "line"] == list(range(150))
    assert "last" in [line["event"] for line in written]


def test_a_full_socket_costs_only_its_own_lines_and_says_how_many(
    pair: tuple[socket.socket, logs.SendingHandler],
) -> None:
    receiving, sender = pair
    sent = 0
    while not sender.dropped:
        sender.emit(record("line", number=sent))
        sent += 1
    sender.emit(record("line", number=sent))
    assert sender.dropped == 2
    received = [json.loads(receiving.recv(1 << 16)) for _ in range(sent - 1)]
    assert [line["number"] for line in received] == list(range(sent - 1))
    sender.emit(record("after"))
    assert json.loads(receiving.recv(1 << 16))["dropped_before"] == 2
    sender.emit(record("after"))
    assert "dropped_before" not in json.loads(receiving.recv(1 << 16))


def test_a_collector_that_is_gone_is_no_error(
    pair: tuple[socket.socket, logs.SendingHandler],
) -> None:
    receiving, sender = pair
    receiving.close()
    sender.emit(record("nobody listens"))
    assert sender.dropped == 1


def test_a_record_too_large_is_cut_and_keeps_its_count_of_drops(
    pair: tuple[socket.socket, logs.SendingHandler],
) -> None:
    receiving, sender = pair
    sender.dropped = 7
    sender.emit(record("big", text="x" * 10 * logs.MAX_RECORD))
    data = receiving.recv(1 << 20)
    assert len(data) <= logs.MAX_RECORD
    line = json.loads(data)
    assert (line["event"], line["cut"], line["dropped_before"]) == ("big", True, 7)
    sender.emit(record("é" * logs.MAX_RECORD))
    assert len(receiving.recv(1 << 20)) <= logs.MAX_RECORD


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[1]", b"nonsense", b"null", b"[" * 9000])
def test_a_garbled_record_is_kept_as_text_and_stops_nothing(tmp_path: Path, data: bytes) -> None:
    collector = logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=10**6, backups=1)
    receiving, sending = socket.socketpair(socket.AF_UNIX, logs.RECORD_SOCKET)
    collector.add(receiving)
    sending.send(data)
    logs.SendingHandler(sending).emit(record("next"))
    wait_until(lambda: "next" in (tmp_path / "log").read_text(), "the next line is written")
    close_root()
    sending.close()
    assert [line["event"] for line in lines(tmp_path / "log")] == ["log.garbled", "next"]


def test_a_chatty_process_does_not_starve_another(tmp_path: Path) -> None:
    collector = logs.Collector()
    pairs = [socket.socketpair(socket.AF_UNIX, logs.RECORD_SOCKET) for _ in range(2)]
    chatty, quiet = (logs.SendingHandler(sending) for _, sending in pairs)
    while not chatty.dropped:
        chatty.emit(record("chatter"))
    quiet.emit(record("quiet"))
    for receiving, _ in pairs:
        collector.add(receiving)
    seen = [collector.get().line["event"] for _ in range(2 * logs.FAIR_BATCH + 1)]  # type: ignore[attr-defined]  # ours
    assert "quiet" in seen
    for sender in (chatty, quiet):
        sender.close()
    collector.close()


def test_each_process_s_lines_stay_in_order(tmp_path: Path) -> None:
    collector = logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=10**7, backups=1)
    pairs = [socket.socketpair(socket.AF_UNIX, logs.RECORD_SOCKET) for _ in range(4)]
    senders = [logs.SendingHandler(sending) for _, sending in pairs]
    for receiving, _ in pairs:
        collector.add(receiving)
    for number in range(60):
        for process, sender in enumerate(senders):
            sender.emit(record("line", process_number=process, number=number))
    for sender in senders:
        sender.close()
    close_root()
    written = lines(tmp_path / "log")
    for process in range(4):
        own = [line["number"] for line in written if line.get("process_number") == process]
        assert own == list(range(60))


def test_the_file_is_rotated_and_every_line_is_in_one_of_its_parts(tmp_path: Path) -> None:
    logs.collect_into(str(tmp_path / "log"), level="info", max_bytes=4096, backups=50)
    log = logs.get("t")
    for number in range(200):
        log.info("line", number=number)
    close_root()
    parts = sorted(tmp_path.iterdir())
    assert len(parts) > 3
    assert all(part.stat().st_size <= 4096 for part in parts)
    assert sorted(line["number"] for part in parts for line in lines(part)) == list(range(200))


def test_a_log_that_is_removed_or_replaced_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "d" / "log"
    file.parent.mkdir()
    logs.collect_into(str(file), level="info", max_bytes=10**6, backups=1)
    log = logs.get("khive.test")
    log.info("one")
    wait_until(lambda: "one" in file.read_text(), "it is written")
    shutil.rmtree(file.parent)
    log.info("two")
    wait_until(lambda: file.exists() and "two" in file.read_text(), "it is made again")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.rename(tmp_path / "moved")
    file.write_text("somebody else's\n")
    log.info("three")
    wait_until(lambda: "three" in file.read_text(), "the one in its place is written")
    close_root()
    assert "three" not in (tmp_path / "moved").read_text()


def test_records_that_cannot_be_written_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log"
    handler = logs.PrivateRotatingFile(str(file), encoding="utf-8")
    handler.setFormatter(logs.JsonLines())
    with monkeypatch.context() as full:
        full.setattr(handler, "_open", lambda: open("/dev/full", "a"))  # noqa: SIM115 - its own to close
        full.setattr(logging, "raiseExceptions", False)
        handler._let_go()
        for _ in range(3):  # each time on a file that is opened anew
            handler.emit(record("lost"))
    handler.emit(record("kept"))
    handler.close()
    written = [(line["event"], line.get("records")) for line in lines(file)]
    assert written == [("kept", None), ("log.dropped", 3)]
