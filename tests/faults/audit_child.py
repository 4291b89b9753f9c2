"""What the audit chain's fault tests run: python audit_child.py PATH NAME.

It assigns and cancels tasks, and says each one's number after the call has returned, until it is
killed, or its standard input ends.
"""

from __future__ import annotations

import os
import select
import sys

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import NewTask


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def work(path: str, name: str) -> None:
    """Two entries for each line."""
    with SqliteStore(path, busy_timeout=60, actor=lambda: name) as store:
        say("ready")
        while not select.select([0], [], [], 0)[0]:
            task, _ = store.tasks.assign(NewTask(name))
            store.tasks.cancel(task.id)
            say(task.id)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2])
