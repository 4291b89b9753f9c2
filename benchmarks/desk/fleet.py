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
        for number in range(SESSIONS):
            with client_of(khive, f"s{number}") as client:
                tell(client, khive, f"s{number}", f"Look at {number}.")
        found = known_sessions(khive)
        assert found == SESSIONS, f"{found} sessions are known"
        yield khive


def known_sessions(khive: Installation) -> int:
    """How many sessions are known by their hooks."""
    with khive.verbs() as client:
        return len(client.request("sessions.list", {"limit": 500})["sessions"])


def entry(number: int) -> NewEntry:
    """One entry of many."""
    text = f"Decision {number}: the service {number % 97} keeps its flag until release {number}."
    return NewEntry("memory", "default", "semantic", f"decision {number}", text)


def client_of(khive: Installation, session: str) -> ControlClient:
    """A conversation of a session's hooks.

    The session is named by the environment, as its client does: whoever runs this may have no
    client among its ancestors.
    """
    env = {"CLAUDE_CODE_SESSION_ID": session}
    return ControlClient(khive.socket, "verbs", cwd="/", env=env)


def tell(client: ControlClient, khive: Installation, session: str, prompt: str = "") -> None:
    """Say that a session has a new prompt; without one, that it has answered."""
    said = {"session_id": session, "cwd": str(khive.home), **({"prompt": prompt} if prompt else {})}
    event = "user-prompt-submit" if prompt else "stop"
    args = {"client": "claude-code", "event": event, "said": json.dumps(said)}
    client.request("hooks.command", args)
