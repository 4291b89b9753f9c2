"""Repositories with worktrees, clones, renames, submodules, parts: whose memories are recalled."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.projects.layout import Layout, make
from khive_supervisor.config.load import from_dict
from khive_supervisor.config.project.terms import Serving, SessionStart, TermsOf
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.factory import in_process
from khive_supervisor.packs import loading
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.maintenance.confirmation import Confirmation
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

RECALLS, ATTACHES = 10_000, 2_000
#: Milliseconds that finding the project may take at attach.
MOST = 1.0
HOME = "/nonexistent/home"
#: The same sentences in each project, with other numbers: only the project tells them apart.
FACTS = (
    ("Which port does the database listen on?", "The database listens on port {}."),
    ("How long may a request take?", "A request may take {} milliseconds."),
    ("How many workers are there?", "There are {} workers in production."),
)


class _WithoutProject(TermsOf):
    """Terms as releases before 0.4 found them."""

    def identity(self, cwd: str, project_directory: str | None = None) -> None:
        """Return nothing."""


class Sessions:
    """Sessions in directories, one after the other, on one store and embedder."""

    def __init__(self, config: Config, terms: TermsOf) -> None:
        self.config, self.terms = config, terms
        self.registry = loading.load()
        embedder = in_process(self.config.embedder)
        self.context = VerbContext(
            self.config, SessionInfo(), socket_path=None, make_embedder=lambda: embedder
        )

    def identity(self, directory: Path) -> ProjectIdentity | None:
        """Return the project of a directory, as at attach."""
        return self.terms(Serving(self.config, None), SessionStart(str(directory))).identity

    def call(self, identity: ProjectIdentity | None, verb: str, **args: Any) -> dict[str, Any]:
        """Run a verb as a session with this project."""
        self.context.session = SessionInfo(id="bench", project=identity)
        return dict(self.registry.call(self.context, verb, args))

    def confirm(self, directories: Iterable[Path]) -> None:
        """Look at projects as the supervisor does in the background."""

        async def with_store(work: Callable[[Store], Any]) -> Any:
            return work(self.context.whole_store)

        async def look() -> None:
            confirmation = Confirmation(with_store)
            for directory in directories:
                confirmation.arrived(self.identity(directory))
            await confirmation.look()

        asyncio.run(look())


def measure(context: Context) -> list[Row]:
    """The rows of projects."""
    work = context.work / "projects"
    shutil.rmtree(work, ignore_errors=True)
    layout = make(work / "homes")
    config = from_dict({"store": {"path": str(work / "khive.db")}})
    sessions = Sessions(config, TermsOf(HOME))
    try:
        told = _remember(sessions, layout)
        return [_recalls(context, sessions, layout, told), _attach(context, sessions, layout)]
    finally:
        sessions.context.close()


def _remember(sessions: Sessions, layout: Layout) -> dict[str, frozenset[str]]:
    """Store the facts of each project, move some, and return what each was told."""
    told: dict[str, frozenset[str]] = {}
    _tell(sessions, layout, told)
    sessions.confirm(layout.first.values())
    layout.move()
    sessions.confirm(layout.first.values())
    _tell(sessions, layout, told)
    sessions.confirm([*layout.first.values(), *(p for _, p in layout.others), *layout.claims])
    return told


def _tell(sessions: Sessions, layout: Layout, told: dict[str, frozenset[str]]) -> None:
    for name, directory in layout.first.items():
        if name not in told:
            number = 5000 + len(told)
            identity = sessions.identity(directory)
            facts = [text.format(number) for _, text in FACTS]
            for fact in facts:
                sessions.call(identity, "memory.remember", content=fact)
            told[name] = frozenset(facts)


def _recalls(
    context: Context, sessions: Sessions, layout: Layout, told: dict[str, frozenset[str]]
) -> Row:
    places = [*layout.first.items(), *layout.others, *(("", claim) for claim in layout.claims)]
    count, draw = context.times(RECALLS), random.Random(14)
    foreign = missed = own = 0
    for _ in range(count):
        name, directory = draw.choice(places)
        question, text = draw.choice(FACTS)
        answer = sessions.call(
            sessions.identity(directory), "memory.recall", query=question, limit=20
        )
        found = {result["content"] for result in answer["results"]}
        expected = told.get(name, frozenset())
        foreign += len(found - expected)
        if expected:
            own += 1
            wanted = next(fact for fact in expected if fact.startswith(text.partition("{")[0]))
            missed += wanted not in found
    right = 1 - missed / max(own, 1)
    return Row(
        what=f"{len(told)} projects in 20 repositories (worktrees, bare ones, clones, renames, "
        f"submodules, parts) and {len(layout.claims)} directories that claim to be one of them; "
        f"{count:,} recalls",
        target="0 results of other projects; the own one found: 100 %",
        khive=f"{foreign} foreign; {right:.2%}",
        met=foreign == 0 and missed == 0,
        data={"foreign": foreign, "missed": missed, "recalls": count, "places": len(places)},
    )


def _attach(context: Context, sessions: Sessions, layout: Layout) -> Row:
    """What a session's terms take with and without its project, in turn."""
    places = [*layout.first.values(), *(directory for _, directory in layout.others)]
    serving, without = Serving(sessions.config, None), _WithoutProject(HOME)
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(context.times(ATTACHES)):
        start = SessionStart(str(places[number % len(places)]))
        for named, terms in ((True, sessions.terms), (False, without)):
            began = time.perf_counter()
            terms(serving, start)
            times[named].append((time.perf_counter() - began) * 1000)
    (with_it, w99), (before, b99) = (_percentiles(times[named]) for named in (True, False))
    return Row(
        what="finding the project at attach: what a session's terms take, p50 / p99",
        target=f"at most +{MOST:.0f} ms (p50)",
        khive=f"{with_it:.2f} / {w99:.2f} ms; without: {before:.2f} / {b99:.2f} ms",
        met=with_it - before <= MOST,
        data={"with": with_it, "without": before, "with_p99": w99, "without_p99": b99},
    )


def _percentiles(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
