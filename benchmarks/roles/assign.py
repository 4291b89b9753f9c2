"""How soon a worker with nothing to do begins with a task."""

from __future__ import annotations

import time
from contextlib import closing

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.roles.rolework import working

ROLES = {"one": 1}
TIMES = 300
#: Milliseconds.
LIMIT = 10.0
#: Seconds for which the worker has had nothing to do.
PAUSE = 0.02


def measure(context: Context) -> list[Row]:
    """The row of a task for an idle worker."""
    started, answered, whole = [], [], []
    with working(context.work) as bench:
        bench.configure(ROLES, function="start")
        bench.khive.start()
        bench.until_ready(ROLES)
        with closing(bench.khive.verbs()) as client:
            for _ in range(context.times(TIMES)):
                time.sleep(PAUSE)
                began = time.monotonic()
                task = client.request("agents.assign", {"role": "one"})["task"]
                answered.append((time.monotonic() - began) * 1000)
                done = client.request("agents.wait", {"task": task})["tasks"][0]
                whole.append((time.monotonic() - began) * 1000)
                started.append((done["result"] - began) * 1000)
    start, answer = Sample(tuple(started)), Sample(tuple(answered))
    return [
        Row(
            what="agents.assign to the start of the handler, in a worker that has nothing to do",
            target=f"p50 <= {LIMIT:g} ms",
            khive=start.show("ms", 50, 99),
            met=start.p50 <= LIMIT,
            notes=(
                (
                    "From before the call is sent to the first line of the function, by one "
                    f"clock. The call was answered after {answer.show('ms', 50, 99)}; assigned and "
                    f"waited for: {Sample(tuple(whole)).show('ms', 50, 99)}."
                ),
            ),
            data={"start": start.as_dict(), "answer": answer.as_dict()},
        )
    ]
