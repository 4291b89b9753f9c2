"""Following one profile: shown again each time that it has changed, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from khive_supervisor.cli.render.answers import ProfileShown
from khive_supervisor.cli.render.output import as_json_text, emit, exactly
from khive_supervisor.cli.render.profile_text import change_line, profile_text
from khive_supervisor.cli.render.terminal import sequence
from khive_supervisor.freshness import BINDINGS, POSTERIORS, PROFILES, Fresh, Versions
from khive_supervisor.freshness import FreshnessSource as Store

#: Seconds between two looks. Each asks SQLite for one number (3 µs); nothing is read, and no
#: worker is asked, before it has moved.
LOOK_AGAIN = 0.1

#: Takes the cursor home and clears the screen.
_CLEAR = sequence("H") + sequence("2J")


def follow(store: Store, load: Callable[[], ProfileShown], as_json: bool) -> None:
    """Print a profile now and after each change of it; returns at Ctrl-C.

    A terminal is drawn anew; a pipe or a file gets a line for each change.
    """
    show = _lines if as_json or not _screen() else _redraw
    with contextlib.suppress(KeyboardInterrupt):
        for answer in changes(store, load, lambda: time.sleep(LOOK_AGAIN)):
            show(answer, as_json)


def changes(
    store: Store, load: Callable[[], ProfileShown], wait: Callable[[], None]
) -> Iterator[ProfileShown]:
    """What `load` answers, at first and whenever it is another answer; `wait` is between looks.

    A change of profiles, posteriors or bindings makes it look; another profile's is passed over.
    """
    kept = Fresh(Versions(store), (PROFILES, POSTERIORS, BINDINGS), load)
    shown: ProfileShown | None = None
    while True:
        answer = kept.get()
        if answer != shown:
            shown = answer
            yield answer
        wait()


def _screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _lines(answer: ProfileShown, as_json: bool) -> None:
    if as_json:
        exactly(as_json_text(answer))
    else:
        emit(answer, False, change_line)


def _redraw(answer: ProfileShown, _as_json: bool) -> None:
    emit(answer, False, lambda shown: f"{_CLEAR}{profile_text(shown)}\n\nCtrl-C ends this.")
