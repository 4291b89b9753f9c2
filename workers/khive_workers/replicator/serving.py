"""In what order a node's writers have their turns, and for how long the node keeps the turn."""

from __future__ import annotations

import time

from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.team.taken_mark import TakenMark
from khive_supervisor.team.order import LogPosition
from khive_workers.replicator.turn import ReplicaHost, ServedTurn
from khive_workers.replicator.writers import WriterConnection, Writers

#: Seconds after which a node lets others have the turn although its own writers wait: a turn that
#: follows another one of the same node costs less than one that changes nodes.
TURNS_IN_A_ROW = 0.1
#: Seconds for which the turn is kept for the next write of one that is in the middle of several:
#: longer than such a one takes to ask again, and shorter than others notice.
LINGERING = 0.003
#: Seconds within which who was given the next turn ahead has to take it.
AHEAD_FOR = 0.0025


class TurnServer:
    """Serves a node's turns, one after the other; `TurnSeries` for them.

    Args:
        host: the replicator.
        writers: who asks.
        mark: by which a turn is taken that was given ahead.
    """

    def __init__(self, host: ReplicaHost, writers: Writers, mark: TakenMark) -> None:
        self._host = host
        self._writers = writers
        self._mark = mark
        #: When this node's turns in a row began, and when the last turn ended.
        self._row_began = 0.0
        self._turn_ended = 0.0
        #: Turns follow each other without a pause: another one will be asked for at once.
        self._in_series = False
        #: Who was given the next turn ahead, the number that it begins with, and until when.
        self._promised: tuple[WriterConnection, int, float] | None = None
        self._last_writer: WriterConnection | None = None

    def serve(self) -> None:
        """Serve those that have asked, each a turn."""
        self._row_began = time.monotonic()
        while self._writers.asking or self._lingers():
            writer = self._writers.asking.popleft()
            self._in_series = time.monotonic() - self._turn_ended < LINGERING
            # What came with its last word in this turn may ask for the next one.
            self._writers.take(writer, alive=ServedTurn(self._host, self, writer).serve())
            self._turn_ended = time.monotonic()
            self._ask_ahead()
            self._keep_promise()

    def another_waits(self) -> bool:
        """Return whether another turn follows in the same breath: it is served next, then."""
        if time.monotonic() - self._row_began > TURNS_IN_A_ROW:
            return False
        self._writers.take_arrived()
        return self._in_series or bool(self._writers.asking)

    def give_ahead(self, writer: WriterConnection, position: LogPosition) -> float | None:
        """Keep the next turn for a writer; return until when it may take it. None: it is not.

        It is where nothing can be newer at the next turn than what this writer commits: the turn
        is held, and all members see everything, so that all nodes stand in line for it.
        """
        server = self._host.server()
        held = server is not None and server.in_turn and server.undivided and self._host.undivided
        again, self._last_writer = self._in_series and self._last_writer is writer, writer
        if not (held and again) or self._writers.asking:
            return None
        until = time.monotonic() + AHEAD_FOR
        self._promised = (writer, position.number, until)
        return until

    def _ask_ahead(self) -> None:
        """Ask for the head that the next turn begins with, if the turn is kept."""
        server = self._host.server()
        if server is not None and server.in_turn:
            try:
                server.ask_for_lock(self._host.expected().number)
            except KhiveError as error:
                self._host.failed(error)

    def _keep_promise(self) -> None:
        """Let who was given the next turn ahead have it, if it is taken."""
        promised, self._promised = self._promised, None
        server = self._host.server()
        if promised is None or server is None:
            return
        writer, number, until = promised
        try:
            server.receive_lock()
        except KhiveError as error:
            self._host.failed(error)
        self._writers.keep_for(writer, until, lambda: self._mark.get() == number)

    def _lingers(self) -> bool:
        """Wait for a writer in a series, if its turn is held already; let go of it otherwise."""
        server = self._host.server()
        if server is None or not server.in_turn:
            return False
        if self._writers.wait(self._turn_ended + LINGERING):
            return True
        server.roll_back()
        return False
