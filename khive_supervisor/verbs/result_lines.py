"""An answer of a search as a model reads it: a line for each result, and no more than it needs.

Names of fields, quotes and braces are a third of a short fact's answer as JSON. What only `explain`
asks for, and how an answer is called, is in the structured one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from khive_supervisor.verbs.answers import USUAL_KIND, Found, ShownPiece, ShownResult
from khive_supervisor.verbs.forms import WholeEntry
from khive_supervisor.verbs.registry import Answer

#: What of a result stands at its place in a line; the rest follows the day as a mark with its name.
_IN_LINE = frozenset(
    ("id", "content", "created_at", "kind", "score", "title", "tags", "source", "project", "why",
     "ranking", "cut", "pieces", "more_pieces", "before", "after")
)  # fmt: skip


#: Of an entry of a list, what its line leaves out.
_OF_A_LIST = frozenset(("namespace", "updated_at", "used_at"))
#: Characters of a commit's source that a line has.
_COMMIT = len("git:") + 12
#: Of a whole entry, what stands in its line with its name.
_OF_WHOLE = frozenset(
    ("branch", "commit", "provenance", "forgotten_at", "superseded_by", "valid_from", "valid_until")
)


def found_text(answer: Answer) -> str:
    """Return an answer of a search as lines: id, day, marks, title and content of each result."""
    found = cast("Found", answer)
    lines = [_line(result) for result in found["results"]] or ["Nothing."]
    lines += [f"note: {note}" for note in found.get("notes", ())]
    about: dict[str, object] = dict(found.get("search", {}))
    if about:
        about = {**found["served_by"], **about}
    if "namespace" in found:
        about["namespace"] = found["namespace"]
    said = "  ".join(f"{name}: {value}" for name, value in about.items())
    return "\n".join([*lines, said] if said else lines)


def listed_text(answer: Answer) -> str:
    """Return a page of a list: a line for each entry, and where the next page begins."""
    entries = cast("list[Mapping[str, object]]", answer["entries"])
    lines = [_line(_as_result(entry)) for entry in entries] or ["Nothing."]
    more = [f"cursor of the next page: {answer['next']}"] if "next" in answer else []
    notes = [f"note: {note}" for note in cast("list[str]", answer.get("notes", []))]
    return "\n".join(
        [*lines, f"{len(entries)} of {answer['total']}", *more, *notes, *waiting_lines(answer)]
    )


def waiting_lines(answer: Answer) -> list[str]:
    """Return a line for each write of an answer that waits for the team's server."""
    waits = cast("list[Mapping[str, object]]", answer.get("waiting", []))
    return [
        f"{one['id']} {one['made_at']} [{one.get('error') or 'not with the team yet'}] "
        + (f"{one['title']}: " if "title" in one else "")
        + str(one["content"])
        for one in waits
    ]


def _as_result(entry: Mapping[str, object]) -> ShownResult:
    """Return an entry of a list with no more than is not usual."""
    usual = entry["kind"] in USUAL_KIND.values()
    left_out = _OF_A_LIST | {"kind"} if usual else _OF_A_LIST
    return cast("ShownResult", {n: said for n, said in entry.items() if n not in left_out})


def entries_text(answer: Answer) -> str:
    """Return whole entries: a line of what is known of each, and its content below."""
    entries = cast("list[WholeEntry]", answer["entries"])
    notes = cast("list[str]", answer.get("notes", []))
    told = [*waiting_lines(answer), *(f"note: {note}" for note in notes)]
    return "\n\n".join([*map(_whole, entries), *told])


def _whole(entry: WholeEntry) -> str:
    head = [entry["id"], entry["created_at"], entry["kind"]]
    head += [f"of {entry['project']}"] if "project" in entry else []
    head += [f"#{tag}" for tag in entry.get("tags", ())]
    head += [f"({entry['source']})"] if "source" in entry else []
    head += [f"[{name}: {said}]" for name, said in entry.items() if name in _OF_WHOLE]
    title = [entry["title"]] if "title" in entry else []
    return "\n".join([" ".join(head), *title, entry["content"]])


def _line(result: ShownResult) -> str:
    """Return a result in a line; contents of several lines stay as they are."""
    head = [result["id"], result["created_at"][: len("2026-11-29")]]
    head += [f"of {result['project']}"] if "project" in result else []
    head += [result["kind"]] if "kind" in result else []
    head += [f"#{tag}" for tag in result.get("tags", ())]
    head += [f"({_source(result['source'])})"] if "source" in result else []
    head += [f"[{name}: {said}]" for name, said in result.items() if name not in _IN_LINE]
    text = f"{result['title']}: {result['content']}" if "title" in result else result["content"]
    after = [f"[cut: {result['cut']}]"] if "cut" in result else []
    lines = [" ".join([*head, text, *after, *_ranked(result)])]
    lines += [f"  {side}: {result[side]}" for side in ("before", "after") if side in result]
    lines += [_piece_line(piece) for piece in result.get("pieces", ())]
    if "more_pieces" in result:
        lines.append(f"  and {result['more_pieces']} more of it")
    return "\n".join(lines)


def _piece_line(piece: ShownPiece) -> str:
    """Return a further piece of a document in a line below its best one."""
    marks = [f"[{name}: {said}]" for name, said in piece.items() if name not in _IN_LINE]
    text = f"{piece['title']}: {piece['content']}" if "title" in piece else piece["content"]
    after = [f"[cut: {piece['cut']}]"] if "cut" in piece else []
    return " ".join(["  also", piece["id"], *marks, text, *after])


def _source(source: str) -> str:
    """Return a source as a line has it: of a commit's id, as much as git needs."""
    return source[:_COMMIT] if source.startswith("git:") else source


def _ranked(result: ShownResult) -> list[str]:
    """Return how a result was ranked, if `explain` asked for it."""
    if "ranking" not in result:
        return []
    numbers = [f"{name}={value}" for name, value in result["ranking"].items()]
    return [f"score={result['score']:.2f}", result.get("why", ""), *numbers]
