"""Arguments of every kind, to every verb: only an answer or a typed error may come of them."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from benchmarks.core.context import Context as Bench
from benchmarks.core.report import Row
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, KhiveError, StoreUnavailable
from khive_supervisor.packs import loading
from khive_supervisor.tasks.model import RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.registry import Verb

CALLS, QUICK_CALLS = 20_000, 2_000
#: The same calls each time.
SEED = 1202
#: Of so many calls, one has an argument that is near to what the verb takes, but another.
NEAR = 2

#: Texts that have broken programs: halves of characters, controls, metacharacters, other scripts.
TEXTS = (
    "", " ", "zebra", "a" * 300, "\0", "\ud800", "half \udc00 of it", "\x1b[31m\x07",
    "\u2028\u2029", "\ufeff", "\uffff", "🦓👩\u200d👧", "ﬁ İ ẞ \u0301", "' OR 1=1 --", '"', "*",
    "NEAR(a b)", "%s {} \\", "../../etc/passwd", "[1", "{}", "null", "true", "3", "3.5", "1e400",
    "-1", "m1", "k2", "t1", "M1", "m0", "m99999999999999999999", "t999999", "2026-11-29",
    "2026-11-29T25:00", "7d", "0h", "999999w", "9999-12-31T23:59:59+14:00", "0001-01-01",
    "default", "no where", "worker", "x\n",
)  # fmt: skip
#: What there is in the store: most calls should get as far as that.
KNOWN = {
    "role": "worker", "task_type": "x", "task": "t1", "tasks": ["t1"], "target": "m1", "id": "m1",
    "ids": ["m1", "k2"], "name": "balanced-recall-v1", "consumer_kind": "recall",
    "results": [{"id": "m1"}, {"id": "k2"}], "namespace": "default",
}  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3.0, 3.5, 10**6, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 1e16, 1e300,
    float("inf"), float("-inf"), float("nan"), 0.1, -0.0, 1e-320, True, False,
)  # fmt: skip


class Generator:
    """Makes arguments: of what a schema admits, and of what is near to that."""

    def __init__(self, source: random.Random) -> None:
        self._random = source

    def arguments(self, verb: Verb) -> Any:
        """Arguments of a verb; every second time one of them is not quite what it takes."""
        chosen: dict[str, Any] = {
            name: self.value(rule)
            for name, rule in verb.properties.items()
            if name in verb.required or self._random.random() < 0.4
        }
        for name in sorted(chosen.keys() & KNOWN.keys()):
            if self._random.random() < 0.7:
                chosen[name] = KNOWN[name]
        if self._random.randrange(NEAR) or not chosen:
            return chosen
        name = self._random.choice(list(chosen))
        chosen[name] = self._near(chosen[name])
        return chosen

    def value(self, rule: Mapping[str, Any]) -> Any:
        """A value that a schema admits, mostly."""
        if "enum" in rule:
            return self._random.choice(rule["enum"])
        kind = rule.get("type")
        make: dict[Any, Callable[[Mapping[str, Any]], Any]] = {
            "string": self._text,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda _rule: self._random.random() < 0.5,
            "array": self._array,
            "object": self._object,
        }
        return make[kind](rule) if kind in make else self._anything(3)

    def _text(self, rule: Mapping[str, Any]) -> str:
        text = self._random.choice(TEXTS)
        if self._random.random() < 0.2:
            text += self._random.choice(TEXTS)
        if len(text) < rule.get("minLength", 0):
            text = "default"
        return text[: rule.get("maxLength", len(text))]

    def _integer(self, rule: Mapping[str, Any]) -> Any:
        least, most = rule.get("minimum", 0), rule.get("maximum", 2**63 - 1)
        number = self._random.choice((least, most, self._random.randint(least, most)))
        return self._random.choice((number, number, float(number), str(number)))

    def _number(self, rule: Mapping[str, Any]) -> Any:
        least, most = rule.get("minimum", -10), rule.get("maximum", 10)
        return self._random.choice((least, most, self._random.uniform(least, most)))

    def _array(self, rule: Mapping[str, Any]) -> Any:
        count = self._random.randint(rule.get("minItems", 0), min(3, rule.get("maxItems", 3)))
        found = [self.value(rule.get("items", {})) for _ in range(count)]
        return self._random.choice((found, found, _json(found)))

    def _object(self, rule: Mapping[str, Any]) -> Any:
        required = rule.get("required", ())
        found = {
            name: self.value(one)
            for name, one in rule.get("properties", {}).items()
            if name in required or self._random.random() < 0.4
        }
        return self._random.choice((found, found, _json(found)))

    def _anything(self, depth: int) -> Any:
        if depth and self._random.random() < 0.3:
            return [self._anything(depth - 1) for _ in range(self._random.randrange(3))]
        if depth and self._random.random() < 0.3:
            return {
                self._random.choice(TEXTS): self._anything(depth - 1)
                for _ in range(self._random.randrange(3))
            }
        return self._random.choice((*TEXTS, *NUMBERS, None))

    def _near(self, value: Any) -> Any:
        near = (
            _json(value), [value], {"value": value}, str(value), None, self._anything(2),
            self._random.choice(NUMBERS), self._random.choice(TEXTS), float("nan"),
        )  # fmt: skip
        return self._random.choice(near)


def _json(value: Any) -> str:
    return json.dumps(value)


@dataclass(slots=True)
class Outcomes:
    """What came of the calls; `crashes` and `untyped` name the call and the error."""

    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)


def prepared(directory: Path) -> Context:
    """A context on a store of its own that has an entry of each kind, a role and a task."""
    config = from_dict({"store": {"path": str(directory / "khive.db")}})
    info = SessionInfo(id="s", actor="ada", cwd=str(directory))
    context = Context(config, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR)

    def end(_seconds: float) -> None:
        raise Denied("Nobody waits any more.")

    context.pause = end
    registry = loading.load()
    registry.call(context, "memory.remember", {"content": "the zebra is in the stable"})
    registry.call(context, "knowledge.learn", {"entries": [{"content": "zebras have stripes"}]})
    context.store.roles.set([RoleRow("worker", ("x", "default"))])
    registry.call(context, "agents.assign", {"role": "worker", "task_type": "x"})
    return context


def run(directory: Path, calls: int, seed: int) -> Outcomes:
    """Call the verbs in turn with generated arguments."""
    context, registry, found = prepared(directory), loading.load(), Outcomes()
    made = Generator(random.Random(seed))
    verbs = list(registry)
    outputs = {verb.name: Draft202012Validator(verb.output or {}) for verb in verbs}
    try:
        for number in range(calls):
            verb = verbs[number % len(verbs)]
            arguments = made.arguments(verb)
            call = f"{verb.name} {json.dumps(arguments)[:300]}"
            try:
                answer = registry.call(context, verb.name, arguments)
            except KhiveError as error:
                _note(found, call, error)
                continue
            except Exception as error:  # noqa: BLE001 - that is what is counted
                found.crashes.append(f"{call}: {error!r}")
                continue
            found.answers += 1
            if not _sayable(answer) or not outputs[verb.name].is_valid(answer):
                found.unsaid.append(call)
    finally:
        context.close()
    return found


def _note(found: Outcomes, call: str, error: KhiveError) -> None:
    found.errors[error.code] += 1
    if error.code == "internal" or not _sayable(error.as_dict()):
        found.untyped.append(f"{call}: {error!r}")
    if isinstance(error, StoreUnavailable):
        found.crashes.append(f"{call}: {error!r}")


def _sayable(answer: Any) -> bool:
    """Return True if an answer is JSON and Unicode."""
    try:
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True


def measure(bench: Bench) -> list[Row]:
    """Count what comes of generated arguments."""
    directory = bench.work / "arguments"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    calls = QUICK_CALLS if bench.quick else CALLS
    began = time.monotonic()
    found = run(directory, calls, SEED)
    wrong = len(found.crashes) + len(found.untyped) + len(found.unsaid)
    errors = ", ".join(f"{count} {code}" for code, count in found.errors.most_common())
    row = Row(
        f"generated arguments, {calls:,} calls over all verbs",
        "0 crashes, 0 untyped errors",
        f"{len(found.crashes)} crashes, {len(found.untyped)} untyped errors, "
        f"{len(found.unsaid)} answers that cannot be sent",
        met=not wrong,
        notes=(
            f"{found.answers} answers; {errors}; {time.monotonic() - began:.0f} s",
            *(found.crashes + found.untyped + found.unsaid)[:10],
        ),
        data={"crashes": found.crashes, "untyped": found.untyped, "unsaid": found.unsaid},
    )
    return [row]
