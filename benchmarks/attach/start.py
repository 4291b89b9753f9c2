"""How long a start takes, and when the first search is answered."""

from __future__ import annotations

import subprocess
import threading
import time

from benchmarks.core.context import Context
from benchmarks.core.installation import COMMAND, Installation, installed
from benchmarks.core.processes import DEADLINE
from benchmarks.core.report import Row, Sample
from khive_supervisor.errors import NotRunning

#: Seconds from the start of the command to ready.
LIMIT = 3.0
TIMES = 7
#: Seconds between two attempts to reach the socket.
TRY_AGAIN = 0.002


def measure(context: Context) -> list[Row]:
    """The row of cold starts."""
    ready, answered, meaning, states = [], [], [], []
    with installed(context.work, context.prepared) as khive:
        khive.start()  # once before, so that the files are read and compiled as on every other day
        khive.stop()
        for query in context.queries(context.times(TIMES)):
            ready.append(_ready(khive))
            khive.stop()
            first, state, fused = _answered(khive, query)
            answered.append(first)
            states.append(state)
            meaning.append(fused)
            khive.stop()
    sample, text = Sample(tuple(ready)), Sample(tuple(answered))
    return [
        Row(
            what=f"cold start: `start` to ready with {len(context.material.texts)} entries",
            target=f"<= {LIMIT:g} s; full text from the first instant",
            khive=f"{sample.show('s', 50)}, max {max(ready):.2f} s; first search answered "
            f"{text.show('s', 50)}, by meaning too {Sample(tuple(meaning)).show('s', 50)}",
            met=max(ready) <= LIMIT and max(answered) <= LIMIT,
            notes=(
                (
                    "From the start of the command; the search is sent as soon as the socket can "
                    "be reached. Its first answers said of the vectors: "
                    f"{'; '.join(sorted(set(states)))}. The files are in the system's cache."
                ),
            ),
            data={"ready": sample.as_dict(), "first_answer": text.as_dict(), "states": states},
        )
    ]


def _ready(khive: Installation) -> float:
    began = time.perf_counter()
    khive.start()
    return time.perf_counter() - began


def _answered(khive: Installation, query: str) -> tuple[float, str, float]:
    """Seconds to the first answer, what it said of the vectors, seconds to one by vectors too."""
    began = time.perf_counter()
    command = [COMMAND, "start", "--background", "--quiet"]
    with subprocess.Popen(command, env=khive.environment, cwd=khive.home) as starting:
        first, state = 0.0, ""
        while time.perf_counter() - began < DEADLINE:
            found = _searched(khive, query)
            if found is None:
                threading.Event().wait(TRY_AGAIN)
                continue
            elapsed = time.perf_counter() - began
            first, state = first or elapsed, state or found
            if "candidates" in found:
                break
        starting.wait(DEADLINE)
    return first, state, elapsed


def _searched(khive: Installation, query: str) -> str | None:
    """What a search says of the vectors' arm; None while nobody can be reached."""
    try:
        with khive.verbs() as verbs:
            answer = verbs.request("knowledge.search", {"query": query, "explain": True})
    except NotRunning:
        return None
    if not answer["results"]:
        raise RuntimeError(f"Nothing was found for {query!r}.")
    return str(answer["search"]["meaning"])
