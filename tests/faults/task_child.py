"""What the tasks' fault test runs: python task_child.py PATH WORKER.

Each line on standard output is a result that was accepted; it is written after the call returned.
It works until its standard input ends.
"""

from __future__ import annotations

import os
import select
import sys

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, Claimant, Outcome


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def work(path: str, worker: str) -> None:
    """Claim and finish, until told to stop."""
    claimant = Claimant("r", worker)
    with SqliteStore(path, busy_timeout=60) as store:
        say("ready")
        claim = None
        while True:
            claim = claim or store.tasks.claim(claimant, lease.now())
            if claim is None:
                if select.select([0], [], [], 0.01)[0]:
                    return
                continue
            outcome = Outcome(DONE, {"by": worker, "token": claim.token})
            done = store.tasks.finish(claim.id, claim.token, outcome, lease.now(), claimant)
            if done.accepted:
                say("accepted", claim.id, claim.token)
            claim = done.next


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2])
