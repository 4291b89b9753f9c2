"""What khive costs a model that reads it: its list of tools, and an answer with ten results.

Before (0.3.0) a result repeated its kind and namespace, had its time to the second, why it was
there, and four digits of a score that meant nothing; and it was sent twice, as JSON in the text and
as structured content, of which Claude Code and Codex give a model the latter, others both. Now
clients of agents get lines, once. The contents are the same, and of long ones nearly all there is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from khive_workers.mcp.tools import INSTRUCTIONS, ToolList

from benchmarks.core import tokenizer
from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.asked import KnownVectors, engine_of, found, learn_subjects
from benchmarks.search.retrieval import Vectors
from benchmarks.search.short_facts import PROJECTS
from benchmarks.search.subjects import Subject, retrieval_subjects
from khive_supervisor.access.grant import AGENT
from khive_supervisor.packs import loading
from khive_supervisor.search.results import Hit
from khive_supervisor.verbs import answers, forms, result_lines

#: Answers of each set, tools that are listed at most, and tokens of them with the instructions.
ANSWERS, SEED, MOST_TOOLS, MOST_TOKENS = 20, 5, 9, 1800
#: What is sent now beside what was sent before, at most.
HALF = 0.5
_SERVED = {"profile": "balanced-recall-v1", "serve": "a1b2c3d4"}

Count = Callable[[Sequence[str]], list[float]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Mean tokens of an answer: its text, what is structured, and the contents in either."""

    text: float
    structured: float
    contents: float

    @property
    def both(self) -> float:
        """Return what is sent to a client that gets both."""
        return self.text + self.structured


def measure(context: Context) -> list[Row]:
    """The rows of the list of tools, and of the answers' sizes."""
    _, how = tokenizer.count(context.work, [""])

    def count(texts: Sequence[str]) -> list[float]:
        return tokenizer.count(context.work, texts)[0]

    return [_tools(count, how), _answers(context, count, how)]


def _tools(count: Count, how: str) -> Row:
    listed = ToolList(loading.load())
    shown, numbers = [], []
    for listed.roles in (False, True):
        tools = listed.of(AGENT)
        parts = [
            part
            for tool in tools
            for part in (tool.name, tool.description or "", json.dumps(tool.input_schema))
        ]
        tokens = sum(count([*parts, INSTRUCTIONS]))
        numbers.append((len(tools), tokens))
        shown.append(f"{tokens:.0f} ({len(tools)} tools)")
    return Row(
        what=f"tokens of tools and instructions ({how}), without roles; with some",
        target=f"at most {MOST_TOKENS}, {MOST_TOOLS} tools",
        khive="; ".join(shown),
        peers=("0.3.0: 5054 (17 tools)",),
        met=all(tools <= MOST_TOOLS and tokens <= MOST_TOKENS for tools, tokens in numbers),
        data={"listed": numbers},
    )


def _answers(context: Context, count: Count, how: str) -> Row:
    facts = Subject("short facts", "facts", [fact for one in PROJECTS for fact, _ in one])
    sets = list(retrieval_subjects(context.retrieval)) if context.retrieval else []
    known = KnownVectors(Vectors(context.work / "quality"))
    learn_subjects(known, sets)
    sizes = {one.name: _sizes(one, known, count) for one in (facts, *sets)}
    before, after = sizes[facts.name]
    earlier = [f"{n} {was.structured:.0f}; {was.both:.0f}" for n, (was, _) in sizes.items()]
    return Row(
        what=f"tokens of an answer with ten results ({how}): lines alone, as agents' clients get "
        "it; lines and structured, as others do",
        target=f"lines alone at most {HALF:g}x of what was sent; of short facts, of either part",
        khive="; ".join(f"{n} {now.text:.0f}; {now.both:.0f}" for n, (_, now) in sizes.items()),
        peers=("0.3.0, structured; both: " + "; ".join(earlier),),
        met=all(now.text <= HALF * was.both for was, now in sizes.values())
        and after.text <= HALF * before.structured,
        notes=tuple(f"{n}: {now.contents:.0f} are the contents" for n, (_, now) in sizes.items()),
        data={name: [vars_of(one) for one in pair] for name, pair in sizes.items()},
    )  # fmt: skip


def vars_of(sizes: Sizes) -> Mapping[str, float]:
    """Return the sizes by name."""
    return {"structured": sizes.structured, "text": sizes.text, "contents": sizes.contents}


def _sizes(subject: Subject, known: KnownVectors, count: Count) -> tuple[Sizes, Sizes]:
    """Return the mean sizes before and now."""
    with engine_of(subject.texts, known) as (engine, _):
        texts = random.Random(SEED).sample(list(subject.texts), ANSWERS)
        shown = [found(engine, " ".join(text.split()[:8])) for text in texts]
    return _mean([_before(hits) for hits in shown], count), _mean(map(_now, shown), count)


def _mean(parts: Iterable[tuple[str, str, str]], count: Count) -> Sizes:
    """Return the mean sizes of answers: text, what is structured, contents."""
    text, structured, contents = (sum(count(one)) / len(one) for one in zip(*parts, strict=True))
    return Sizes(text, structured, contents)


def _before(hits: Sequence[Hit]) -> tuple[str, str, str]:
    results = [
        {**forms.show(hit.entry, answers.DEFAULT_CHARACTERS), "score": round(hit.score, 4),
         "why": hit.why}
        for hit in hits
    ]  # fmt: skip
    answer = {"results": results, "served_by": _SERVED}
    return json.dumps(answer, ensure_ascii=False), _dense(answer), _contents(hits)


def _now(hits: Sequence[Hit]) -> tuple[str, str, str]:
    results = [answers.show_result(hit, answers.DEFAULT_CHARACTERS) for hit in hits]
    answer = {"results": results, "served_by": {"serve": _SERVED["serve"]}}
    return result_lines.found_text(answer), _dense(answer), _contents(hits)


def _dense(answer: Mapping[str, object]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _contents(hits: Sequence[Hit]) -> str:
    return "\n".join(hit.entry.content[: answers.DEFAULT_CHARACTERS] for hit in hits)
