"""A process that says which profile serves an actor, looked up in one of three ways.

As khive does (a snapshot that is checked at each use), cached once for the life of the process, or
read from the store at every call. Speaks as a session does, without a handshake.

    python profile_reader.py khive|once|every STORE
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from khive_supervisor.freshness import Versions
from khive_supervisor.profiles.snapshot import Snapshot, load_snapshot
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.verbs.context import Profiles

KINDS = ("khive", "once", "every")


def way(kind: str, store: SqliteStore) -> Callable[[], Snapshot]:
    """How the profiles are looked up."""
    if kind == "khive":
        return Profiles(store, Versions(store)).snapshot
    if kind == "every":
        return lambda: load_snapshot(store.profiles.all, store.bindings.all)
    kept = load_snapshot(store.profiles.all, store.bindings.all)
    return lambda: kept


def main() -> None:
    kind, path = sys.argv[1:]
    look = way(kind, SqliteStore(path, guarded=False))
    for line in sys.stdin.buffer:
        message = json.loads(line)
        actor = message["params"]["arguments"]["args"]["actor"]
        began = time.perf_counter_ns()
        snapshot = look()
        took = time.perf_counter_ns() - began
        found = snapshot.resolve(actor, "default", "recall")
        answer = {
            "profile": found.profile.name,
            "weights": {name: round(beta.mean, 4) for name, beta in found.profile.weights.items()},
            "binding": {"priority": found.binding.priority if found.binding else None},
            "microseconds": took / 1000,
        }
        reply = {"jsonrpc": "2.0", "id": message["id"], "result": {"structuredContent": answer}}
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
