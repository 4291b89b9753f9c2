"""A process that gives feedback as fast as it is acknowledged, by the verb that sessions run.

    python feedback_writer.py SESSION COUNT FIRST STEP

The store is that of its HOME. It gives some that is not counted, as sessions live long; says
`ready`, waits for a line on stdin, and says what it did and when each was acknowledged.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter

from khive_supervisor.config.load import load
from khive_supervisor.errors import KhiveError
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context, SessionInfo

#: Events of each process that are not counted.
WARM = 5


def main() -> None:
    session, (number, first, step) = sys.argv[1], map(int, sys.argv[2:])
    config = load(None, os.getcwd(), os.environ).config
    context = Context(config, SessionInfo(session), socket_path=None, make_embedder=lambda: None)
    registry = loading.load()
    for entry in range(first, first + WARM * step, step):
        registry.call(context, "brain.feedback", {"target": f"k{entry}", "signal": "useful"})
    print("ready", flush=True)
    sys.stdin.readline()
    times, ends, errors = [], [], Counter[str]()
    began = time.monotonic()
    for entry in range(first, first + number * step, step):
        start = time.perf_counter()
        try:
            registry.call(context, "brain.feedback", {"target": f"k{entry}", "signal": "useful"})
        except KhiveError as error:
            errors[str(error)] += 1
        times.append((time.perf_counter() - start) * 1000)
        ends.append(time.monotonic())
    print(json.dumps({"began": began, "ends": ends, "times": times, "errors": errors}))


if __name__ == "__main__":
    main()
