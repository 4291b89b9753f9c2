"""Is a decision that stands in a commit alone found by the report of the bug that follows from it.

    scripts/bench --only coding-history --coding DIR

A repository gets the commits of all decisions among others that say why, too: exchanges of chats
that decide nothing of it, and the messages of this project's own history, where that is to be had.
It is learned by `learn --git`; each report is asked as a query and as a prompt. `literals.tsv`
names what must be in what a prompt is answered with: listed by hand from the policies, before
anything was measured.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search import coding
from benchmarks.search.asked import NOW, KnownVectors
from benchmarks.search.retrieval import Vectors
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.briefing import tokens
from khive_supervisor.cli.memories.git_learning import CommitTally, learn_commits
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.projects import commits, history
from khive_supervisor.projects.discovery import identify
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

REGISTRY = loading.load()
ROOT = Path(__file__).parents[2]
LITERALS = Path(__file__).parent / "literals.tsv"
#: Commits beside the decisions' at least, all but one of the decisions that must be found, and
#: tokens of an injection at most.
OTHERS, MISSED, BUDGET = 1000, 1, 300
#: Characters of a subject, seconds between commits, and the seed of their order.
SUBJECT, STEP, SEED = 72, 7200, 5


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision in a commit: its message and file, the report that asks for it, its literals."""

    name: str
    message: str
    module: str
    report: str
    literals: Sequence[str]

    def is_in(self, text: str) -> bool:
        """Return True if every literal is there, in one of its spellings."""
        low = text.lower()
        return all(any(one in low for one in each.split("|")) for each in self.literals)


def decisions(directory: Path) -> list[Decided]:
    """Return the decisions that stand in commits, of tasks.jsonl."""
    literals = {
        name: tuple(each.lower() for each in rest)
        for name, *rest in (line.split("\t") for line in LITERALS.read_text("utf-8").splitlines())
    }
    found = []
    for line in (directory / "tasks.jsonl").read_text("utf-8").splitlines():
        task = json.loads(line)
        if task["source"] == "history":
            message = f"{task['commit']['subject']}\n\n{task['commit']['message']}"
            name = task["id"].removesuffix("-history")
            asked = (task["id"], message, task["module"], task["bug_report"])
            found.append(Decided(*asked, literals[name]))
    return found


def others(directory: Path) -> list[str]:
    """Return messages of commits that decide nothing of it."""
    chats = coding.read(directory).chats
    said = [
        turns[place : place + 2]
        for name, turns in chats.items()
        if name.startswith("other")
        for place in range(0, len(turns) - 1, 2)
    ]
    made = [f"{_subject(asked['text'])}\n\n{told['text']}" for asked, told in said]
    done = subprocess.run(
        ["git", "-C", ROOT, "log", "--no-merges", "--format=%B%x00"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    own = [one.strip() for one in done.stdout.split("\0")]
    return [*made, *(one for one in own if one)]


def _subject(text: str) -> str:
    return " ".join(text.split())[:SUBJECT]


def make_repository(top: Path, messages: Sequence[tuple[str, str]]) -> None:
    """Make a repository with a commit for each message and its file, oldest first."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(top)], check=True)
    stream = b"".join(_commit(number, *one) for number, one in enumerate(messages))
    command = ["git", "-C", str(top), "fast-import", "--quiet"]
    subprocess.run(command, input=stream, check=True)


def _commit(number: int, message: str, path: str) -> bytes:
    data, content = message.encode(), f"{number}\n".encode()
    when = int(NOW) - 10_000_000 + number * STEP
    return b"".join((
        b"commit refs/heads/main\n",
        f"committer Ada <ada@example.org> {when} +0000\n".encode(),
        b"data %d\n%s\n" % (len(data), data),
        f"M 644 inline {path or f'src/part{number % 40}/module{number}.py'}\n".encode(),
        b"data %d\n%s\n" % (len(content), content),
    ))  # fmt: skip


class Repository:
    """A repository whose commits were learned, as a session in it has them."""

    def __init__(self, top: Path, place: Path, embedder: KnownVectors) -> None:
        self.top = top
        project = identify(str(top), "/nowhere")
        info = SessionInfo(id="history", cwd=str(top), project=project, process="1.1")
        self._context = VerbContext(
            from_dict({"store": {"path": str(place / "khive.db")}}),
            info,
            socket_path=None,
            make_embedder=lambda: embedder,
            grant=OPERATOR,
            wall_clock=lambda: NOW,
        )

    def request(self, operation: str, args: Any = None, _progress: Any = None) -> Any:
        """Return what a verb answers."""
        return REGISTRY.call(self._context, operation, args or {})

    def learn(self) -> CommitTally:
        """Learn its commits."""
        return learn_commits(self, str(self.top), None, history.LOOKED_AT, lambda _: None)

    def place(self, decided: Decided) -> int | None:
        """Return where the decision's commit is in the answer to its report, from 1."""
        found = self.request("memory.recall", {"query": decided.report})["results"]
        subject = decided.message.partition("\n")[0]
        places = [place for place, one in enumerate(found, 1) if one.get("title") == subject]
        return places[0] if places else None

    def injected(self, decided: Decided) -> str:
        """Return what a session is told that begins with the report."""
        said = {"session_id": decided.name, "cwd": str(self.top), "prompt": decided.report}
        asked = {"client": "claude-code", "event": "UserPromptSubmit", "said": json.dumps(said)}
        told = self.request("hooks.command", asked)["print"]
        if not told:
            return ""
        return str(json.loads(told)["hookSpecificOutput"]["additionalContext"])

    def close(self) -> None:
        """Let go of the store."""
        self._context.close()


def _embedded(top: Path) -> Iterator[str]:
    """Yield the texts of a repository whose vectors are needed."""
    for one in history.read(str(top), {}).commits:
        if commits.gives_reason(one):
            yield f"{one.subject}\n{commits.content(one)}"


def measure(context: Context) -> list[Row]:
    """The rows of decisions in history; without their data they say nothing."""
    if context.coding is None:
        return []
    wanted, beside = decisions(context.coding), others(context.coding)
    messages = [*((one.message, one.module) for one in wanted), *((one, "") for one in beside)]
    random.Random(SEED).shuffle(messages)
    known = KnownVectors(Vectors(context.work / "quality"))
    with tempfile.TemporaryDirectory(prefix="khive-bench-") as home:
        top = Path(home, "repository")
        make_repository(top, messages)
        known.know([*_embedded(top), *(one.report for one in wanted)])
        repository = Repository(top, Path(home), known)
        try:
            tally = repository.learn()
            places = {one.name: repository.place(one) for one in wanted}
            told = {one.name: repository.injected(one) for one in wanted}
        finally:
            repository.close()
    return [_found(tally, len(beside), places), _injected(wanted, told)]


def _found(tally: CommitTally, beside: int, places: Mapping[str, int | None]) -> Row:
    count, first = len(places), sum(1 for one in places.values() if one == 1)
    five = sum(1 for one in places.values() if one is not None and one <= coding.FIVE)
    learned = f"{tally.stored} of {tally.looked_at} learned, {tally.without_reason} gave no reason"
    return Row(
        what=f"the commit of a decision by the report of a bug, {count} among {beside} others",
        target=f"first: at least {count - MISSED} of {count}; at least {OTHERS} others",
        khive=f"hit@1 {first}, hit@5 {five}",
        notes=(learned,),
        met=first >= count - MISSED and beside >= OTHERS,
        data={"places": dict(places)},
    )


def _injected(wanted: Sequence[Decided], told: Mapping[str, str]) -> Row:
    whole = [one.name for one in wanted if one.is_in(told[one.name])]
    longest = max(tokens.bound(text) for text in told.values())
    missing = [one.name for one in wanted if one.name not in whole]
    return Row(
        what="every figure and literal of the decision is in what the report as prompt is told",
        target=f"at least {len(wanted) - MISSED} of {len(wanted)}, in at most {BUDGET} tokens",
        khive=f"{len(whole)} of {len(wanted)}; at most {longest} tokens (upper bound)",
        notes=tuple(f"missing: {name}" for name in missing),
        met=len(whole) >= len(wanted) - MISSED and longest <= BUDGET,
        data={"told": dict(told)},
    )
