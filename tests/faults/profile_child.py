"""What the profiles' fault tests run: python profile_child.py ROLE PATH NAME [COUNT].

Each line on standard output is an acknowledgement: it is written after the call has returned.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.profiles.model import DEFAULT, FEEDBACK, NewEvent
from khive_supervisor.profiles.replay import verify
from khive_supervisor.sqlite.store import SqliteStore

SIGNALS = ("useful", "wrong", "correction", "implicit_positive", "explicit_negative")


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def event(name: str, number: int, padding: int = 0) -> NewEvent:
    """Feedback with a name and a number; each is of a session of its own, so that all counts."""
    return NewEvent(
        DEFAULT,
        FEEDBACK,
        SIGNALS[number % len(SIGNALS)],
        1 + number % 4,
        actor=name,
        session=f"{name}-{number}",
        scorer_run=name,
        serve=str(number),
        detail={"padding": "x" * padding},
    )


def give(path: str, name: str, count: int) -> None:
    """Give feedback so many times, and say each time what is durable now."""
    with SqliteStore(path, busy_timeout=60) as store:
        say("ready")
        os.read(0, 1)
        for number in range(count):
            done = store.feedback.record(event(name, number))
            assert not done.duplicate
            say(number, done.seq)


def fill(path: str, name: str, limit: int) -> None:
    """Give feedback until the file may not grow any more, then go on once it may again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with SqliteStore(path) as store:
        number, refused = 0, 0
        while refused < 3:
            before = store.profiles.state(DEFAULT)
            try:
                store.feedback.record(event(name, number, padding=3000))
                number += 1
            except StoreUnavailable as error:
                if "no room" not in error.message:
                    raise
                assert store.profiles.state(DEFAULT) == before, "a refused event left something"
                refused += 1
        assert verify(store.profiles, DEFAULT) == []
        resource.setrlimit(resource.RLIMIT_FSIZE, (10 * limit, resource.RLIM_INFINITY))
        for _ in range(3):
            store.feedback.record(event(name, number))
            number += 1
        assert verify(store.profiles, DEFAULT) == []
        assert store.quick_check() == []
        say("done", number)


ROLES: dict[str, Callable[[str, str, int], None]] = {"give": give, "fill": fill}

if __name__ == "__main__":
    ROLES[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
