"""One piece of work beside another: the meaning of a query while its words are looked for.

SQLite and Annoy run without the interpreter's lock, so that two cores answer one query. A plain
thread on purpose: an executor costs each session half a megabyte.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pending(Generic[T]):
    """Work that runs beside; its result or its error comes when it is asked for."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run(self) -> None:
        """Do it; called once, by the thread beside."""
        try:
            self._done.put((self._work(), None))
        except BaseException as error:  # noqa: BLE001 - it belongs to who asks for the result
            self._done.put((None, error))

    def result(self) -> T:
        """Wait for it; called once."""
        result, error = self._done.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if T is


class Beside:
    """A thread that starts with its first work and ends with `close`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: queue.SimpleQueue[Pending[object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], T]) -> Pending[T]:
        """Begin a piece of work."""
        pending = Pending(work)
        self._waiting.put(pending)  # type: ignore[arg-type]  # whatever its result is
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        return pending

    def _serve(self) -> None:
        while (pending := self._waiting.get()) is not None:
            pending.run()

    def close(self) -> None:
        """Wait for what has begun, and end; idempotent."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
