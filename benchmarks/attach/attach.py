"""How long it takes until a session answers, and until it has answered its first search."""

from __future__ import annotations

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.report import Row, Sample, ratio
from benchmarks.core.session import Server, Session, at_once

#: Times better than the plain server, one at a time and at once, and than server-memory.
ONE, AT_ONCE, NODE = 20.0, 30.0, 8.0
#: Milliseconds from process start to the first search's answer.
FIRST_SEARCH = 50.0
#: Measured sessions one at a time; those before them that are not counted; sessions at once.
ALONE, WARM_UP, TOGETHER = 40, 3, 20

_FROM_START = "from before the process is started to the whole answer on the client's pipe"


def measure(context: Context) -> list[Row]:
    """Rows of attach: alone, at once, and the first search."""
    alone: dict[str, Sample] = {}
    together: dict[str, Sample] = {}
    searched: dict[str, Sample] = {}
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        plain, node = context.peers.plain, context.peers.node
        for server in (khive.attach(), plain, *([node] if node else [])):
            few = server is not plain or context.quick
            alone[server.name] = _alone(server, context.times(ALONE))
            rounds = context.times(10) if few else 5
            together[server.name] = _together(server, rounds)
            if server is not node:
                searched[server.name] = _searched(server, context)
    missing = () if context.peers.node else (f"server-memory: {context.peers.why}",)
    return [
        _row_alone(alone, missing),
        _row_together(together, missing),
        _row_searched(searched),
    ]


def _alone(server: Server, count: int) -> Sample:
    return Sample(tuple([_handshake(server) for _ in range(WARM_UP + count)][WARM_UP:]))


def _handshake(server: Server) -> float:
    with Session(server) as session:
        return session.initialize()


def _together(server: Server, rounds: int) -> Sample:
    at_once(server, TOGETHER)
    return Sample(tuple(t for _ in range(rounds) for t in at_once(server, TOGETHER)))


def _searched(server: Server, context: Context) -> Sample:
    queries = context.queries(WARM_UP + context.times(ALONE))
    return Sample(tuple([_first_search(server, query) for query in queries][WARM_UP:]))


def _first_search(server: Server, query: str) -> float:
    with Session(server) as session:
        session.initialize()
        session.search(query)
        return session.since_start()


def _row_alone(samples: dict[str, Sample], missing: tuple[str, ...]) -> Row:
    ours, plain, node = _three(samples)
    good = plain.p50 / ours.p50 >= ONE
    return Row(
        what="attach: process start to `initialize` answered, one at a time",
        target=f"{ONE:g}x faster than the plain server, {NODE:g}x than server-memory",
        khive=ours.show("ms", 50, 90),
        peers=(*_compared(samples, ours), *missing),
        met=good and (node is None or node.p50 / ours.p50 >= NODE),
        notes=(f"Measured {_FROM_START}; {WARM_UP} sessions before are not counted.",),
        data={name: sample.as_dict() for name, sample in samples.items()},
    )


def _row_together(samples: dict[str, Sample], missing: tuple[str, ...]) -> Row:
    ours, plain, _ = _three(samples)
    return Row(
        what=f"the same, {TOGETHER} at once",
        target=f"{AT_ONCE:g}x faster than the plain server",
        khive=ours.show("ms", 50, 90),
        peers=(*_compared(samples, ours), *missing),
        met=plain.p50 / ours.p50 >= AT_ONCE,
        notes=("Each from its own start; one round before is not counted.",),
        data={name: sample.as_dict() for name, sample in samples.items()},
    )


def _row_searched(samples: dict[str, Sample]) -> Row:
    ours, _, _ = _three(samples)
    return Row(
        what="first search answered, from process start, the supervisor running",
        target=f"p50 <= {FIRST_SEARCH:g} ms",
        khive=ours.show("ms", 50, 90),
        peers=_compared(samples, ours),
        met=ours.p50 <= FIRST_SEARCH,
        notes=("Each session asks a query that nobody has asked before.",),
        data={name: sample.as_dict() for name, sample in samples.items()},
    )


def _three(samples: dict[str, Sample]) -> tuple[Sample, Sample, Sample | None]:
    return samples["khive attach"], samples["plain server"], samples.get("server-memory")


def _compared(samples: dict[str, Sample], ours: Sample) -> tuple[str, ...]:
    return tuple(
        f"{name}: {sample.show('ms', 50)}: {ratio(sample.p50, ours.p50)}"
        for name, sample in samples.items()
        if sample is not ours
    )
