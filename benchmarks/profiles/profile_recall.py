"""What it costs that results are ranked as a profile has learned."""

from __future__ import annotations

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Server, Session
from khive_supervisor.profiles.model import FEEDBACK, Binding, NewEvent
from khive_supervisor.sqlite.store import SqliteStore

TARGETS = 10_000
#: Times that a recall may take of one without a profile.
LIMIT = 1.2
QUERIES, WARM_UP = 400, 20
SIGNALS = ("useful", "not_useful")
LEARNED, ACTOR = "learned", "with-profile"


def measure(context: Context) -> list[Row]:
    """The row of searches with a profile."""
    queries = context.queries(WARM_UP + context.times(QUERIES))
    targets = min(TARGETS, len(context.prepared.ids))
    with_profile, without = [], []
    with installed(context.work, context.prepared) as khive:
        _learn(khive.store.as_posix(), context.prepared.ids[:targets])
        khive.start()
        khive.settle()
        plain = khive.attach()
        taught = Server(
            plain.name,
            plain.command,
            {**plain.environment, "KHIVE_ACTOR": ACTOR},
            plain.directory,
            plain.search_tool,
            plain.search_arguments,
        )
        with Session(plain) as first, Session(plain) as one, Session(taught) as other:
            for session in (first, one, other):
                session.initialize()
            for number, query in enumerate(queries):
                first.search(query)  # the embedder has its vector from now on
                pair = ((one, without), (other, with_profile))
                for session, times in pair if number % 2 else reversed(pair):
                    took, answer = session.search(query)
                    times.append(took)
                    served = LEARNED if session is other else "balanced-recall-v1"
                    if answer["served_by"].get("profile", "balanced-recall-v1") != served:
                        raise RuntimeError(f"Served by another profile: {answer['served_by']}.")
    ours, theirs = Sample(tuple(with_profile[WARM_UP:])), Sample(tuple(without[WARM_UP:]))
    return [
        Row(
            what=f"search of {len(context.prepared.ids)} entries with a profile of {targets} "
            "targets",
            target=f"p50 <= {LIMIT:g}x without one",
            khive=f"{ours.show('ms', 50, 99)} = {ours.p50 / theirs.p50:.2f}x",
            peers=(f"without a profile: {theirs.show('ms', 50, 99)}",),
            met=ours.p50 <= LIMIT * theirs.p50,
            notes=(
                (
                    "Two sessions ask the same in turn, in changing order; a third one asked "
                    "before, so that neither pays for the query's embedding."
                ),
            ),
            data={"with": ours.as_dict(), "without": theirs.as_dict()},
        )
    ]


def _learn(path: str, entries: list[int]) -> None:
    """One event for each entry, all in one transaction."""
    store = SqliteStore(path)
    store.profiles.create(LEARNED, consumer_kind="search")
    store.bindings.bind(Binding(LEARNED, actor=ACTOR))
    store.feedback.record_many(
        [
            NewEvent(LEARNED, FEEDBACK, SIGNALS[at % 2], entry, session="bench")
            for at, entry in enumerate(entries)
        ]
    )
    store.close()
