"""Whether the history finds an earlier attempt at the same file, beside recall of memories."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.roles.attempts import SessionTask, attempt_store, read_sessions
from benchmarks.search.retrieval import Vectors, measure_sessions

#: Results that are asked for, and the role that does all tasks.
CUT, ROLE = 10, "fixer"


@dataclass(frozen=True, slots=True)
class Places:
    """The places of the first hits, a question each; None where there is none."""

    found: tuple[int | None, ...]

    @property
    def hits(self) -> float:
        """The share of questions with a hit."""
        return sum(place is not None for place in self.found) / len(self.found)

    @property
    def reciprocal(self) -> float:
        """The mean reciprocal rank."""
        return sum(1 / place for place in self.found if place) / len(self.found)

    def __str__(self) -> str:
        return f"hit@10 {self.hits:.3f}, MRR {self.reciprocal:.3f}"


def measure(context: Context) -> list[Row]:
    """The row of similar executions."""
    if context.sessions is None:
        sys.exit("similar is measured with agents' sessions: name them with --sessions.")
    tasks = read_sessions(context.sessions)
    all_of, fitting = _asked(tasks[: context.times(len(tasks))])
    vectors = Vectors(context.work / "quality")
    count, memories = measure_sessions(context.sessions, vectors, within=True)
    hits, reciprocal = memories["fused"]
    return [
        Row(
            what=f"similar executions: an earlier attempt in the repository that touched the same "
            f"source file, {len(all_of.found)} questions",
            target="above recall of memories",
            khive=f"{all_of}; with the default floor {fitting}",
            peers=((f"recall of memories, {count} questions: hit@10 {hits:.3f}, "
                   f"MRR {reciprocal:.3f}"),),
            met=all_of.hits > hits and all_of.reciprocal > reciprocal,
            notes=(
                ("Each session is a task that is given, claimed and finished in a store, with its "
                "problem as the prompt, its last words as answer or error, and the paths that it "
                "touched; before each, `history.similar` is asked with its problem. Constants of "
                "the order by files were chosen on commits of four other repositories (their "
                "messages as prompts), none of them on these sessions. The memories are texts of "
                "problem and paths, without the default floor either."),
            ),
            data={"hits": all_of.hits, "mrr": all_of.reciprocal, "memories": memories["fused"]},
        )
    ]  # fmt: skip


def _asked(tasks: Sequence[SessionTask]) -> tuple[Places, Places]:
    """The places of hits without a floor, and with the default one."""
    places: list[int | None] = []
    fitting: list[int | None] = []
    before: dict[str, SessionTask] = {}
    with attempt_store(ROLE) as store:
        for task in tasks:
            store.within(task.repository)
            wanted = {
                one for one, other in before.items()
                if other.repository == task.repository and other.sources & task.sources
            }  # fmt: skip
            if wanted:
                for found, floor in ((places, {"floor": 0.0}), (fitting, {})):
                    answer = store.call("history.similar", query=task.prompt, limit=CUT, **floor)
                    order = [one["id"] for one in answer["results"]]
                    hit = next((at for at, one in enumerate(order, 1) if one in wanted), None)
                    found.append(hit)
            before[store.tried(task, ROLE)] = task
    return Places(tuple(places)), Places(tuple(fitting))
