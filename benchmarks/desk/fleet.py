"""A fleet for the page to show: a filled store, and sessions that have told of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.report import say
from khive_supervisor.control.client import ControlClient
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

ENTRIES, QUICK_ENTRIES, SESSIONS = 100_000, 5_000, 50
#: Searches go by words: what is measured is the page.
_CONFIGURATION = '[http]\nenabled = true\nport = 0\n[embedder]\nkind = "none"\n'
_BATCH = 1000


@contextmanager
def filled(context: Context, count: int) -> Iterator[Installation]:
    """An installation with so many entries, and fifty sessions that its hooks have told of."""
    with installed(context.work) as khive:
        khive.write_configuration(_CONFIGURATION)
        khive.store.parent.mkdir(parents=True, mode=0o700)
        say(f"storing {count:,} entries")
        with SqliteStore(str(khive.store), secrets="off") as store:
            for first in range(0, count, _BATCH):
                numbers = range(first, min(first + _BATCH, count))
                store.entries.add([entry(number) for number in numbers])
        khive.start()
        with ControlClient(khive.socket, "verbs", cwd="/", env={}) as client:
            for number in range(SESSIONS):
                client.request("hooks.command", told(khive, f"s{number}", f"Look at {number}."))
        yield khive


def entry(number: int) -> NewEntry:
    """One entry of many."""
    text = f"Decision {number}: the service {number % 97} keeps its flag until release {number}."
    return NewEntry("memory", "default", "semantic", f"decision {number}", text)


def told(khive: Installation, session: str, prompt: str) -> dict[str, str]:
    """What a hook says of a session's new prompt; without one, that it has answered."""
    said = {"session_id": session, "cwd": str(khive.home), **({"prompt": prompt} if prompt else {})}
    event = "user-prompt-submit" if prompt else "stop"
    return {"client": "claude-code", "event": event, "said": json.dumps(said)}
