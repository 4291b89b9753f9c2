"""Prepared statements sent to the server in one go, their results read as they come.

What is under the lock of the log's head is paid by the whole team, so these few statements go past
the driver's own cursors: values and results are binary, and nothing is parsed twice.
"""

from __future__ import annotations

import itertools
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

#: Seconds that the server may take for all of one `receive`: it gives up a lock before that.
ANSWER_DEADLINE = 15.0
_BINARY = 1
_FAILED = frozenset({pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE})

ResultRow = tuple[bytes | None, ...]
#: A statement, and its values as the server reads them in binary.
Step = tuple[str, tuple[bytes, ...]]


class Pipeline:
    """What is on its way over one connection; `send` may be called again before `receive`.

    The connection may be used otherwise only when as much was received as was sent.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._numbers = itertools.count()
        self._names: dict[str, bytes] = {}
        #: Of each part that was sent, which of its answers are of statements: others only prepare.
        self._parts: deque[list[bool]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether results of something that was sent were not received yet."""
        return bool(self._parts)

    def send(self, steps: Sequence[Step]) -> None:
        """Send statements, as one part; if one fails, the rest of the part is not done.

        Raises:
            psycopg.Error: the connection is lost.
        """
        raw = self._connection.pgconn
        if not self._parts:
            raw.enter_pipeline_mode()
        part: list[bool] = []
        for sql, values in steps:
            if sql not in self._names:
                self._prepare(raw, sql)
                part.append(False)
            formats = [_BINARY] * len(values)
            raw.send_query_prepared(
                self._names[sql], values, param_formats=formats, result_format=_BINARY
            )
            part.append(True)
        raw.pipeline_sync()
        self._parts.append(part)
        _flush(raw, time.monotonic() + ANSWER_DEADLINE)

    def receive(self) -> list[list[ResultRow]]:
        """Return the rows of each statement of the part that was sent first.

        Raises:
            psycopg.Error: one of them failed, or the connection is lost; other parts that were sent
                are to be received still.
        """
        raw, until = self._connection.pgconn, time.monotonic() + ANSWER_DEADLINE
        found: list[list[ResultRow]] = []
        failed = None
        for is_statement in self._parts[0]:
            result = _next(raw, until)
            if result.status in _FAILED:
                failed = error_from_result(result)
            elif is_statement and failed is None:
                found.append(_rows(result))
        _next(raw, until)  # the end of the part
        self._parts.popleft()
        if not self._parts:
            raw.exit_pipeline_mode()
        if failed is not None:
            # One of them may not be prepared now, or not as the tables are now.
            self._names.clear()
            raise failed
        return found

    def settle(self) -> None:
        """Receive what is left, whatever it says, so that the connection may be used otherwise.

        Raises:
            psycopg.Error: the connection is lost.
        """
        while self._parts:
            before = len(self._parts)
            try:
                self.receive()
            except psycopg.Error:
                if len(self._parts) == before:
                    raise

    def _prepare(self, raw: pq.abc.PGconn, sql: str) -> None:
        name = b"khive%d" % next(self._numbers)
        raw.send_prepare(name, sql.encode())
        self._names[sql] = name


def _next(raw: pq.abc.PGconn, until: float) -> pq.abc.PGresult:
    """Return the next result; between those of two statements there is none for a moment."""
    while True:
        while raw.is_busy():
            _wait(raw, select.POLLIN, until)
            raw.consume_input()
        if (result := raw.get_result()) is not None:
            return result
        if raw.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError("the connection is lost")


def _flush(raw: pq.abc.PGconn, until: float) -> None:
    while raw.flush():
        if _wait(raw, select.POLLIN | select.POLLOUT, until) & select.POLLIN:
            raw.consume_input()


def _rows(result: pq.abc.PGresult) -> list[ResultRow]:
    columns = range(result.nfields)
    return [tuple(result.get_value(n, c) for c in columns) for n in range(result.ntuples)]


def _wait(raw: pq.abc.PGconn, events: int, until: float) -> int:
    poll = select.poll()
    poll.register(raw.socket, events)
    ready = poll.poll(max(0.0, until - time.monotonic()) * 1000)
    if not ready:
        raise psycopg.OperationalError(f"the server did not answer for {ANSWER_DEADLINE:g} s")
    return ready[0][1]
