"""Texts of several subjects, with questions that they answer: for what fits, and what does not.

A question is related to the texts of its own subject alone: asked of another's store, it should be
met with silence.
"""

from __future__ import annotations

import ast
import gzip
import json
import random
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.search.retrieval import source_files

#: Docstrings and package descriptions that are taken, chosen by the seed.
DOCSTRINGS, PACKAGES, SEED = 1500, 12_000, 1

#: Texts that ask for nothing.
TALK = (
    "continue", "yes please", "thanks, looks good", "go on", "ok", "okay", "yes", "no", "sure",
    "great", "perfect", "thank you", "thanks!", "go ahead", "please continue", "sounds good",
    "do it", "yes, do that", "keep going", "looks good to me", "lgtm", "fine", "no, stop", "stop",
    "wait", "hello", "hi", "hi there", "good morning", "nice work", "well done", "awesome", "cool",
    "got it", "makes sense", "I see", "right", "correct", "that's right", "that works",
    "yes go ahead and do it", "ok continue with that", "proceed", "please proceed", "try again",
    "again", "one more time", "undo that", "never mind", "what?", "why?", "how?", "hmm",
    "what do you think?", "can you explain?", "can you help me?", "are you sure?", "is that all?",
    "anything else?", "what's next?", "ready", "done", "finish it", "all good", "no thanks",
    "maybe later", "good job", "please fix it", "show me", "tell me more", "more", "explain",
    "I agree", "exactly", "of course", "absolutely", "weiter", "ja bitte", "danke", "oui", "merci",
    "gracias",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the positions of the texts that answer it."""

    text: str
    relevant: frozenset[int]


@dataclass(frozen=True, slots=True)
class Subject:
    """Texts of one kind, and questions that some of them answer.

    `field` is shared by subjects that are about the same things: Python code and Python issues.
    """

    name: str
    field: str
    texts: Sequence[str]
    questions: Sequence[Question] = ()


#: The field of each retrieval set that is not one of its own.
_FIELDS = {"cosqa": "python", "tldr": "commands"}


def retrieval_subjects(file: Path) -> Iterator[Subject]:
    """Return the sets of a retrieval file (`retrieval` has its form)."""
    raw = file.read_bytes()
    sets = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    for name, (store, *_) in sets.items():
        place = {identifier: at for at, identifier in enumerate(store["ids"])}
        questions = [
            Question(
                query["text"],
                frozenset(place[one] for one, grade in query["rel"].items() if grade > 0),
            )
            for query in store["queries"]
        ]
        yield Subject(name, _FIELDS.get(name, name), store["docs"], questions)


def coding_subject(directory: Path) -> Subject:
    """Return decisions of coding agents: chats and commits, asked for by a report of a bug.

    The directory has tasks.jsonl (bug_report, gold, commit) and chats.jsonl.gz (id, turns).
    """
    tasks = _lines((directory / "tasks.jsonl").read_text("utf-8"))
    chats = _lines(gzip.decompress((directory / "chats.jsonl.gz").read_bytes()).decode())
    texts = ["\n".join(f"{turn['role']}: {turn['text']}" for turn in c["turns"]) for c in chats]
    place = {chat["id"]: at for at, chat in enumerate(chats)}
    questions = []
    for task in tasks:
        relevant = [place[one] for one in task["gold"] if one in place]
        if task["source"] == "history":
            relevant.append(len(texts))
            texts.append(f"{task['commit']['subject']}\n{task['commit']['message']}")
        questions.append(Question(task["bug_report"], frozenset(relevant)))
    return Subject("coding", "python", texts, questions)


def session_subjects(directory: Path) -> Iterator[Subject]:
    """Return agents' tasks by repository, each a store that grows.

    The last text of each is asked for those before it that touched the same source file.
    """
    tasks = sorted(
        _lines((directory / "tasks.jsonl").read_text("utf-8")), key=lambda task: str(task["id"])
    )
    by_repository: dict[str, list[Any]] = {}
    for task in tasks:
        earlier = by_repository.setdefault(task["repo"], [])
        same = [at for at, one in enumerate(earlier) if source_files(one) & source_files(task)]
        if same:
            question = Question(task["problem"], frozenset(same))
            yield Subject("sessions", "python", [one["problem"] for one in earlier], [question])
        earlier.append(task)


def docstring_subject() -> Subject:
    """Return docstrings of the standard library: the first line asks for the rest."""
    library = Path(sysconfig.get_paths()["stdlib"])
    files = [*library.glob("*.py"), *library.glob("asyncio/*.py"), *library.glob("email/*.py")]
    pairs = [pair for file in sorted(files) for pair in _docstrings(file)]
    chosen = random.Random(SEED).sample(pairs, min(DOCSTRINGS, len(pairs)))
    questions = [Question(first, frozenset((at,))) for at, (first, _) in enumerate(chosen)]
    return Subject("docstrings", "python", [rest for _, rest in chosen], questions)


def _docstrings(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first, _, rest = (ast.get_docstring(node) or "").partition("\n")
            if len(first.split()) >= 4 and len(rest.strip()) > 40:
                yield first.strip(), f"{file.stem}.{node.name}\n{rest.strip()}"


def package_subject() -> Subject | None:
    """Return one line for each of Debian's packages; None where there is no apt."""
    if shutil.which("apt-cache") is None:
        return None
    told = subprocess.run(
        ["apt-cache", "dumpavail"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    known = re.findall(
        r"^Package: (\S+)$.*?^Description: ([^\n]+)$", told, re.MULTILINE | re.DOTALL
    )
    lines = sorted({f"{name}: {line}" for name, line in known})
    chosen = random.Random(SEED).sample(lines, min(PACKAGES, len(lines)))
    return Subject("packages", "commands", chosen) if chosen else None


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
