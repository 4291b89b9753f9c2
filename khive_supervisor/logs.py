"""Log collection: every process sends records, the supervisor alone writes the file.

multiprocessing-logging gives the collecting handler; its one `multiprocessing.Queue` is replaced,
since a process killed while it holds that queue's lock would silence all others. Here each process
has a socket pair of its own: the kernel keeps a record whole, nobody holds a lock, a full socket
costs only its own process's lines (counted, and said in the next record).
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import logging
import logging.handlers
import os
import queue
import selectors
import socket
import sys
import threading
import time
import traceback
from typing import Any

from multiprocessing_logging import MultiProcessingHandler

from khive_supervisor.host.paths import make_private_directory

#: Bytes of one record; longer messages are cut. Below Linux's default datagram limit (208 KiB).
MAX_RECORD = 32 * 1024
#: What is left of a longer one.
KEPT_WHEN_CUT = frozenset({"ts", "level", "event", "logger", "pid", "dropped_before"})
#: Records taken from one process before the next one's turn: a chatty process cannot starve others.
FAIR_BATCH = 64
#: Records taken from each process at the end: more than its socket can hold.
LAST_BATCH = 4096

#: Keeps records whole like a datagram, and tells the reader when the sender is gone. macOS has no
#: such Unix socket; there the end of a sender is noticed when its session is.
RECORD_SOCKET = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM


def get(name: str) -> EventLogger:
    """The logger of a module; events are tokens with fields, not sentences."""
    return EventLogger(logging.getLogger(name))


class EventLogger:
    """`log.info("child.exited", pid=1, code=0)`: an event's name and its fields."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def _emit(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", event, extra={"fields": fields})

    def debug(self, event: str, **fields: Any) -> None:
        """Detail for a developer."""
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Something that an operator may want to know."""
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something went wrong and was dealt with."""
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something went wrong and needs somebody."""
        self._emit(logging.ERROR, event, fields)


def as_dict(record: logging.LogRecord) -> dict[str, Any]:
    """A record as the JSON object that is one line of the log file."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    line: dict[str, Any] = {
        "ts": f"{stamp}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        "logger": record.name,
        "pid": record.process,
        "process": record.processName,
    }
    line.update(getattr(record, "fields", None) or {})
    if record.exc_info and record.exc_info[0] is not None:
        line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
    return line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record; a record that came from another process is a line already."""
        line = getattr(record, "line", None)
        return json.dumps(as_dict(record) if line is None else line, default=str)


class TextLines(logging.Formatter):
    """One line for people: the level, the event and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        fields = getattr(record, "fields", None) or {}
        shown = "".join(f" {name}={value!r}" for name, value in fields.items())
        return f"khive-supervisor: {record.levelname} {super().format(record)}{shown}"


class SendingHandler(logging.Handler):
    """The handler of every process but the supervisor: never blocks, and counts what it drops."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        sock.setblocking(False)
        self._sock = sock
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, or count it as dropped."""
        try:
            self._send(record)
        except Exception:  # noqa: BLE001 - whatever a field's own text raises
            self.handleError(record)

    def _send(self, record: logging.LogRecord) -> None:
        line = as_dict(record)
        if self.dropped:
            line["dropped_before"] = self.dropped
        data = json.dumps(line, default=str).encode()
        if len(data) > MAX_RECORD:
            line["event"] = str(line["event"])[:1000]
            cut = {name: value for name, value in line.items() if name in KEPT_WHEN_CUT}
            data = json.dumps({**cut, "cut": True}).encode()
        try:
            self._sock.send(data)
            self.dropped = 0
        except OSError:
            self.dropped += 1

    def close(self) -> None:
        """Close the sending end; idempotent."""
        self._sock.close()
        super().close()


class Collector:
    """The supervisor's queue: one consumer thread takes records from every process's socket."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._local: collections.deque[logging.LogRecord] = collections.deque()
        self._batch: collections.deque[logging.LogRecord] = collections.deque()
        self._new: collections.deque[socket.socket] = collections.deque()
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._closed = False
        self._drained = False

    def add(self, sock: socket.socket) -> None:
        """Take over a process's receiving end; it is closed when the process is gone."""
        self._new.append(sock)
        self._wake()

    def put_nowait(self, record: logging.LogRecord) -> None:
        """A record of the supervisor's own, from any of its threads."""
        self._local.append(record)
        self._wake()

    def _wake(self) -> None:
        try:
            self._waker.send(b"\0")
        except OSError:
            return  # a full waker is already awake; a closed one has nobody to wake

    def get(self, timeout: float | None = None) -> logging.LogRecord:  # noqa: ARG002 - see below
        """The next record; raises queue.Empty when woken without one.

        `timeout` is ignored on purpose: the base class polls five times a second to see whether
        it was closed; closing wakes this wait instead, so that an idle supervisor stays idle.
        """
        while True:
            if self._local:
                return self._local.popleft()
            if self._batch:
                return self._batch.popleft()
            if self._drained:
                raise queue.Empty
            if self._closed:
                self._take_the_last()
            else:
                self._take(None, FAIR_BATCH)

    def _take_the_last(self) -> None:
        """What was sent before the end is written, if it is in a socket still."""
        self._drained = True
        self._drain_waker()
        self._take(0, LAST_BATCH)

    def _take(self, timeout: float | None, count: int) -> None:
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._woken:
                self._drain_waker()
            else:
                self._receive(key.fileobj, count)  # type: ignore[arg-type]  # only sockets are there

    def _drain_waker(self) -> None:
        try:
            while self._woken.recv(4096):
                continue
        except OSError:
            pass
        while self._new:
            sock = self._new.popleft()
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)

    def _receive(self, sock: socket.socket, count: int) -> None:
        for _ in range(count):
            try:
                data = sock.recv(MAX_RECORD + 1024)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(sock)
                sock.close()
                return
            self._batch.append(_foreign_record(data))

    def qsize(self) -> int:
        """Records that are here and not yet written; at the end, one more until all are here."""
        return len(self._local) + len(self._batch) + (self._closed and not self._drained)

    def shut(self) -> None:
        """Let the consumer finish what is here and end."""
        self._closed = True
        self._wake()

    def close(self) -> None:
        """Close every socket; the consumer calls it as it ends."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered
        while self._new:
            self._new.popleft().close()
        self._selector.close()
        self._waker.close()

    def join_thread(self) -> None:
        """Nothing to join: there is no feeder thread."""


def _foreign_record(data: bytes) -> logging.LogRecord:
    """A record from another process; what is not JSON is kept as text."""
    try:
        line = json.loads(data)
        if not isinstance(line, dict):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        line = {"event": "log.garbled", "level": "warning", "text": repr(data[:200])}
    level = logging.getLevelNamesMapping().get(str(line.get("level", "")).upper(), logging.INFO)
    return logging.makeLogRecord(
        {"name": str(line.get("logger", "")), "levelno": level, "msg": "", "line": line}
    )


class CollectingHandler(MultiProcessingHandler):  # type: ignore[misc]  # the package has no types
    """The supervisor's handler: one thread writes everybody's records to one rotating file."""

    def __init__(self, collector: Collector, sub_handler: logging.Handler) -> None:
        logging.Handler.__init__(self)
        self.sub_handler = sub_handler
        self.setLevel(sub_handler.level)
        self.setFormatter(sub_handler.formatter)
        self.filters = sub_handler.filters
        self.queue = collector
        self._is_closed = False
        self._receive_thread = threading.Thread(target=self._receive, name="log", daemon=True)
        self._receive_thread.start()

    def _format_record(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def close(self) -> None:
        """Write what is here, then close the file; idempotent."""
        if not self._is_closed:
            self.queue.shut()
        super().close()


class PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A rotating log that only its owner reads: what agents do is nobody else's business.

    A file that was removed or replaced, its directory too, is made again at the next record. What
    cannot be written (a full disk) is counted, and the count is written when there is room.
    """

    #: Records that could not be written, since the last that could.
    dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to the file that is in its place now."""
        try:
            if not self._in_place():
                self._reopen()
        except OSError:
            self.handleError(record)
            return
        before = self.dropped
        super().emit(record)
        if before and self.dropped == before:
            self.dropped = 0
            super().emit(_drop_record(before))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count a record that could not be written; what is left of it goes with its stream."""
        self.dropped += 1
        self._let_go()
        super().handleError(record)

    def _in_place(self) -> bool:
        if self.stream is None:
            return False
        try:
            there = os.stat(self.baseFilename)
        except FileNotFoundError:
            return False
        ours = os.fstat(self.stream.fileno())
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    def _reopen(self) -> None:
        self._let_go()
        make_private_directory(os.path.dirname(self.baseFilename))
        self.stream = self._open()

    def _open(self) -> io.TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_CLOEXEC, 0o600)

        raw = io.FileIO(self.baseFilename, self.mode, opener=private)
        return io.TextIOWrapper(io.BufferedWriter(raw), self.encoding, self.errors)


def _drop_record(count: int) -> logging.LogRecord:
    fields = {"name": "khive.log", "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({**fields, "msg": "log.dropped", "fields": {"records": count}})


def collect_into(path: str, *, level: str, max_bytes: int, backups: int) -> Collector:
    """Make this process the one that writes the log file; returns where others' sockets go."""
    handler = PrivateRotatingFile(
        path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(JsonLines())
    collector = Collector()
    _replace_handlers(CollectingHandler(collector, handler), level)
    return collector


def send_to_supervisor(level: str, name: str) -> socket.socket:
    """Send this process's records from now on; returns the end that the supervisor must get.

    The process's name ("session", "zygote") is in every record.
    """
    receiving, sending = socket.socketpair(socket.AF_UNIX, RECORD_SOCKET)
    _replace_handlers(SendingHandler(sending), level)
    import multiprocessing

    multiprocessing.current_process().name = name
    return receiving


def to_stderr(level: str) -> None:
    """Log to stderr: the user's, or the pipe that the supervisor reads a child's from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines())
    _replace_handlers(handler, level)


def _replace_handlers(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # A handler that cannot write must not write tracebacks onto a session's stderr.
    logging.raiseExceptions = bool(os.environ.get("KHIVE_DEBUG"))
