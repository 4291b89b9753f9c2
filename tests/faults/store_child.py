"""What the fault tests run as processes of their own: python store_child.py ROLE PATH [NAME].

Each line on standard output is an acknowledgement: it is written after the call has returned.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable

import numpy as np

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

MODEL, DIMENSIONS = "model", 16
#: What the reader asks for.
QUERY = np.eye(1, DIMENSIONS, dtype=np.float32)[0]


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def new(name: str, number: int) -> NewEntry:
    text = f"{name} {number} " + "words of some length " * (number % 40)
    return NewEntry("memory", name, "k", f"title {number}", text)


def write(path: str, name: str) -> None:
    """Add, supersede and forget for ever, and say each time what is durable now."""
    data = bytes(range(2 * DIMENSIONS))
    with SqliteStore(path, busy_timeout=60) as store:
        number = 0
        while True:
            batch = [new(name, number + offset) for offset in range(1 + number % 3)]
            added = store.entries.add(batch, [data] * len(batch), MODEL)
            say("live", *(one.id for one in added))
            if number % 7 == 3:
                store.entries.forget([added[0].id])
                say("dead", added[0].id)
            if number % 11 == 5 and number % 7 != 3:
                newer = store.entries.supersede(added[-1].id, new(name, -number))
                say("dead", added[-1].id)
                say("live", newer.id)
            number += len(batch)


def fill(path: str, limit: str) -> None:
    """Write until nothing fits any more, then see that reading goes on; twice, with new room.

    `limit` is the size that a file may have, or "" when the disk itself is small.
    """
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    ballast = path + ".ballast"
    with open(ballast, "wb") as file:
        # On a small disk: as much as the log may hold, which then moves into the database.
        file.write(bytes(200_000 if limit else 1_000_000))
    with SqliteStore(path) as store:
        ids = _until_full(store, "before")
        assert [entry.id for entry in store.entries.page(0, 10**6)] == ids
        assert store.quick_check() == []
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 * int(limit), resource.RLIM_INFINITY))
        else:
            os.unlink(ballast)
        store.checkpoint()
        ids += _until_full(store, "after", enough=3)
        assert [entry.id for entry in store.entries.page(0, 10**6)] == ids
        assert store.quick_check() == []
        say("done", len(ids))


def _until_full(store: SqliteStore, name: str, enough: int = 100_000) -> list[int]:
    ids: list[int] = []
    while len(ids) < enough:
        try:
            ids += [one.id for one in store.entries.add([new(name, len(ids))])]
        except StoreUnavailable as error:
            if "no room" not in error.message or not ids:
                raise
            say("full", len(ids))
            return ids
    return ids


def read(path: str, expected: str) -> None:
    """Search until standard input ends; every answer has to be the expected one."""
    wanted = [int(one) for one in expected.split(",")]
    with SqliteStore(path) as store:
        index = VectorIndex(store, MODEL, DIMENSIONS)
        seen: set[int | None] = set()
        searches = 0
        say("ready")
        os.set_blocking(0, False)
        while _input_is_open():
            found = [one for one, _ in index.search(QUERY, len(wanted))]
            if found != wanted:
                say("wrong", found)
                return
            state = index.state()
            assert not state.problem, state.problem
            seen.add(state.generation)
            searches += 1
        say("searched", searches, len(seen))


def _input_is_open() -> bool:
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


ROLES: dict[str, Callable[[str, str], None]] = {"write": write, "fill": fill, "read": read}

if __name__ == "__main__":
    ROLES[sys.argv[1]](sys.argv[2], sys.argv[3])
