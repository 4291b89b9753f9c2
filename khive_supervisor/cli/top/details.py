"""One row looked into, the log about it, and the keys: lines to scroll through. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from khive_supervisor.cli.top.cells import Line, ScreenSpan, clean, cut, width_of
from khive_supervisor.cli.top.rows import OverviewRow
from khive_supervisor.overview.asked import Failed, Reply, Wish

#: What the keys do, as the help says it.
KEYS = (
    ("up, down, j, k", "choose a row; page up and down, home and end go further"),
    ("enter", "look into the chosen session, role, task or process; escape goes back"),
    ("l, L", "follow the log about the chosen row; the whole log"),
    ("/", "show only rows that have what you type; escape shows all again"),
    ("d, r", "drain the chosen role; put it back in service (both ask first)"),
    ("c", "cancel the chosen task (asks first)"),
    ("?", "this help"),
    ("q, Ctrl-C", "quit; nothing that runs is ended by it"),
)
#: Lines of a task's log that are shown: its end is seen without scrolling.
LOG_LINES = 8
#: Keys of facts that say the same as others, or nothing to people.
_LEFT_OUT = frozenset({"words"})


def more_of(row: OverviewRow) -> Wish | None:
    """Return what is asked to look into a row; None if all is known already."""
    return Wish("agents.task", {"task": row.key.name}) if row.key.kind == "task" else None


def row_lines(row: OverviewRow, more: Reply | None, width: int) -> list[Line]:
    """Return all that is known of a row, folded to so many columns."""
    facts = {**row.facts, **more} if isinstance(more, dict) else row.facts
    if isinstance(log := facts.get("log_tail"), str):
        facts = {**facts, "log_tail": "\n".join(log.splitlines()[-LOG_LINES:])}
    lines: list[Line] = [(ScreenSpan(f"{row.key.kind} {row.key.name}", "bold"),), ()]
    if isinstance(more, Failed):
        lines += [(ScreenSpan(part, "bad"),) for part in folded(more.why, width)]
    for text in _told(facts, ""):
        lines += [(ScreenSpan(part),) for part in folded(text, width)]
    return lines


def _told(facts: Mapping[str, object], indent: str) -> Iterator[str]:
    """Return a line for each fact; what has parts has them below it."""
    names = [name for name, value in facts.items() if name not in _LEFT_OUT and _says(value)]
    room = max(map(len, names), default=0)
    for name in names:
        value, label = facts[name], name.replace("_", " ")
        if isinstance(value, Mapping):
            yield f"{indent}{label}"
            yield from _told(value, f"{indent}  ")
        elif isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
            yield f"{indent}{label}"
            for one in value:
                yield f"{indent}  - " + "  ".join(f"{n} {_text(v)}" for n, v in one.items())
        else:
            first, *rest = _text(value).split("\n")
            yield f"{indent}{label.ljust(room)}  {first}"
            yield from (f"{indent}{' ' * room}  {line}" for line in rest)


def _says(value: object) -> bool:
    return value not in (None, "", [], {})


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def folded(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` cells; they go on where the text began."""
    text, parts = clean(text), []
    below = " " * min(len(text) - len(text.lstrip()) + 2, width // 2)
    while width_of(text) > width > len(below) + 1:
        taken = cut(text, width + 1)[:-1]
        space = taken.rfind(" ", len(below) + 1)
        end = space if space > width // 2 else len(taken)
        parts.append(text[:end])
        text = below + text[end:].lstrip(" ")
    return [*parts, text]


def help_lines() -> list[Line]:
    """Return what the keys do."""
    room = max(len(keys) for keys, _ in KEYS)
    return [
        (ScreenSpan("Keys", "bold"),),
        (),
        *((ScreenSpan(keys.ljust(room + 2), "bold"), ScreenSpan(does)) for keys, does in KEYS),
    ]


def is_about(line: str, row: OverviewRow) -> bool:
    """Return True if a line of the log names what a row is about."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    values = record.values() if isinstance(record, dict) else ()
    named = _names(row)
    return any(str(value) in named for value in values)


def _names(row: OverviewRow) -> frozenset[str]:
    """Return by what the log knows it."""
    names = {row.key.name}
    if row.key.kind == "task":
        names.add(row.key.name.removeprefix("t"))
    elif row.facts.get("pid"):
        names.add(str(row.facts["pid"]))
    return frozenset(names)
