"""How long a search takes inside a session, the query's embedding included."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Server, Session

#: Milliseconds: short queries' p50 and p99, pasted texts' p50.
SHORT_P50, SHORT_P99, PASTED_P50 = 6.0, 25.0, 15.0
#: Measured queries of each kind, and those before them that are not counted.
SHORT, PASTED, WARM_UP = 500, 150, 30


def measure(context: Context) -> list[Row]:
    """The rows of search."""
    short = context.queries(WARM_UP + context.times(SHORT))
    pasted = context.pasted(WARM_UP + context.times(PASTED))
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        ours = _asked(khive.attach(), short, pasted)
    peer = _asked(context.peers.plain, short, pasted)
    count, sources = len(context.material.texts), context.material.sources
    return [
        Row(
            what=f"hybrid search of {count} entries in a session, embedding included: queries of "
            "up to 8 words",
            target=f"p50 <= {SHORT_P50:g} ms, p99 <= {SHORT_P99:g} ms",
            khive=f"{ours['short'].show('ms', 50, 99)}; the engine itself "
            f"{ours['short engine'].show('ms', 50, 99)}",
            peers=(f"plain server, vectors only: {peer['short'].show('ms', 50, 99)}",),
            met=ours["short"].p50 <= SHORT_P50 and ours["short"].quantile(0.99) <= SHORT_P99,
            notes=(
                (
                    f"From the request on the session's pipe to the whole answer, explanations "
                    f"included; distinct queries, {WARM_UP} before are not counted ({sources[0]})."
                ),
            ),
            data=_data(ours, peer, "short"),
        ),
        Row(
            what="the same with a pasted text of 300 words",
            target=f"p50 <= {PASTED_P50:g} ms",
            khive=f"{ours['pasted'].show('ms', 50, 99)}; the engine itself "
            f"{ours['pasted engine'].show('ms', 50, 99)}",
            peers=(f"plain server, vectors only: {peer['pasted'].show('ms', 50, 99)}",),
            met=ours["pasted"].p50 <= PASTED_P50,
            notes=(f"Distinct texts ({sources[1]}). What pruning costs is in the quality rows.",),
            data=_data(ours, peer, "pasted"),
        ),
    ]


def _asked(server: Server, short: Sequence[str], pasted: Sequence[str]) -> dict[str, Sample]:
    with Session(server) as session:
        session.initialize()
        return {**_timed(session, "short", short), **_timed(session, "pasted", pasted)}


def _timed(session: Session, name: str, queries: Sequence[str]) -> dict[str, Sample]:
    """Whole round trips, and what the engine says that it took."""
    outside, inside = [], []
    for query in queries:
        milliseconds, answer = session.search(query)
        outside.append(milliseconds)
        if "search" in answer:
            inside.append(float(answer["search"]["milliseconds"]))
    found = {name: Sample(tuple(outside[WARM_UP:]))}
    if inside:
        found[f"{name} engine"] = Sample(tuple(inside[WARM_UP:]))
    return found


def _data(ours: dict[str, Sample], peer: dict[str, Sample], name: str) -> dict[str, object]:
    return {
        "khive": ours[name].as_dict(),
        "khive_engine": ours[f"{name} engine"].as_dict(),
        "plain_server": peer[name].as_dict(),
    }
