"""Is what was decided in a chat put into the context of who is asked to mend what follows from it?

    scripts/bench --only captured --coding DIR

Each chat is a transcript in a client's own form, a day after the one before; capturing learns it.
The report of the bug is the prompt. A question's store holds all chats but those of its siblings
(questions of the same report). Every figure and literal of the policy has to be in what is
injected; they were listed by hand from the policies before anything was measured (`literals.tsv`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from benchmarks.capture.injected import Injected, told
from benchmarks.capture.transcribed import written
from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.asked import NOW
from benchmarks.search.coding import Decisions, Task, read
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs.capture.sessions import learn_session
from khive_supervisor.projects.discovery import identify
from khive_supervisor.store.model import EVERYTHING
from khive_supervisor.transcripts.reading import SessionBelonging, take_in
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

LITERALS = Path(__file__).with_name("literals.tsv")
DAY = 86_400.0
#: The kinds of questions; those of one kind have no siblings among themselves.
KINDS = ("conversation", "conversation-amended")
#: Tokens that may be injected at a prompt.
MOST = 300


class CapturedChats:
    """A store of chats that capturing has learned, by the names of the chats."""

    def __init__(self, place: Path, decisions: Decisions, without: Collection[str]) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob("khive.db*"):
            if old.is_file():
                old.unlink()
        project = place / "project"
        project.mkdir(exist_ok=True)
        self.now = NOW
        self.context = VerbContext(
            from_dict({"store": {"path": str(place / "khive.db")}}),
            SessionInfo(id="bench", cwd=str(project), project=identify(str(project), "/nowhere")),
            socket_path=None, make_embedder=MiniLM, grant=OPERATOR, wall_clock=lambda: self.now,
        )  # fmt: skip
        number = self.context.store_project()
        for order, (chat, turns) in enumerate(decisions.chats.items()):
            self.now += DAY
            if chat in without:
                continue
            file = written(place / "transcripts", order, chat, turns, str(project), self.now)
            take_in(self.context.store, file, lambda _: SessionBelonging(number))
            learn_session(self.context, file.client, chat, ended=True)
        self.now += DAY
        self.ids = self._by_chat()

    def _by_chat(self) -> Mapping[str, list[int]]:
        store, found = self.context.store, {}
        for entry in store.entries.recent(EVERYTHING, 5000):
            number = entry.provenance or 0
            session = store.entries.provenances([number])[number].session
            found.setdefault(session, []).append(entry.id)
        return found

    def injected(self, task: Task) -> Injected:
        """Return what is injected at a prompt."""
        return told(self.context, task["bug_report"], task["id"])


def literals() -> dict[str, list[list[str]]]:
    """Return what has to be in an answer, by question: of each, any of its alternatives."""
    lines = LITERALS.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line)
    return {
        name: [one.replace("\\r\\n", "\r\n").split("|") for one in rest] for name, *rest in rows
    }


def missing(text: str, wanted: Sequence[Sequence[str]]) -> list[str]:
    """Return what an answer lacks."""
    said = text.lower()
    escaped = said.replace("\\r\\n", "\r\n")
    return [
        "|".join(any_of)
        for any_of in wanted
        if not any(one in said or one in escaped for one in any_of)
    ]


def measure(context: Context) -> list[Row]:
    """The rows of decisions that were captured; without their chats they say nothing."""
    if context.coding is None:
        return []
    decisions, wanted = read(context.coding), literals()
    stores = {kind: _store(context.work, decisions, kind) for kind in KINDS}
    counts: dict[str, list[bool]] = {}
    settled: list[bool] = []
    tokens: list[int] = []
    for task in decisions.tasks:
        chats = stores[task["source"]]
        found = chats.injected(task)
        lacks = missing(found.text, wanted[task["id"]])
        print(f"  {task['id']}: {found.tokens} tokens, lacks {', '.join(lacks) or 'nothing'}")
        counts.setdefault(task["source"], []).append(not lacks)
        tokens.append(found.tokens)
        if len(task["gold"]) > 1:
            old, new = (chats.ids.get(one, []) for one in task["gold"])
            settled.append(not lacks and found.newer(old, new))
    return _rows(counts, settled, tokens)


def _store(work: Path, decisions: Decisions, kind: str) -> CapturedChats:
    """Return a store of all chats but those of the siblings of the tasks of a kind."""
    tasks = [task for task in decisions.tasks if task["source"] == kind]
    without = {chat for task in tasks for chat in decisions.siblings(task)}
    return CapturedChats(work / f"captured-{kind}", decisions, without)


def _rows(
    counts: Mapping[str, Sequence[bool]], settled: Sequence[bool], tokens: Sequence[int]
) -> list[Row]:
    plain = counts.get("conversation", ())
    most = max(tokens, default=0)
    return [
        Row(
            "decisions of chats, captured and injected", "13 of 14, at most 300 tokens",
            f"{sum(plain)} of {len(plain)}; at most {most} tokens",
            met=sum(plain) >= 13 and most <= MOST,
        ),
        Row(
            "amended ones, the older flagged or absent", "4 of 4",
            f"{sum(settled)} of {len(settled)}", met=all(settled) and len(settled) == 4,
        ),
    ]  # fmt: skip
