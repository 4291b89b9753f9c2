"""list, tags, stats, pin, unpin, undo: what is in the memory, and what was changed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.filters import (
    filter_options,
    filters,
    in_option,
    limit_option,
    state_option,
)
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.command_names import in_commands
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.verbs.result_lines import waiting_lines


@click.command("list")
@filter_options
@in_option("memory")
@state_option("live")
@click.option(
    "--sort",
    "order",
    type=click.Choice(("created", "updated", "used")),
    help="By which time, the newest first (created).",
)
@limit_option
@click.option("--cursor", help="Go on where the last page ended.")
@common_options
def list_entries(run: Invocation, **given: Any) -> None:
    """List entries by their properties: pinned ones first, then the newest."""
    run.show("memory.list", _page_text, **filters(given))


def _page_text(answer: Mapping[str, Any]) -> str:
    rows = [_row(entry) for entry in answer["entries"]]
    waits = [one_line(line) for line in (*_notes(answer), *waiting_lines(answer))]
    if not rows:
        return "\n".join(["There are no such entries.", *waits])
    last = f"{counted(answer['total'], 'such entry')}." if answer["total"] == 1 else ""
    last = last or f"{answer['total']} such entries."
    if "next" in answer:
        last += f" Go on with --cursor {answer['next']}"
    names = [entry.get("project", "") for entry in answer["entries"]]
    heads = ["id", "made", "kind", "state", "tags", "what"]
    if any(names):
        heads.insert(2, "project")
        rows = [[*row[:2], name, *row[2:]] for row, name in zip(rows, names, strict=True)]
    return "\n".join([table(heads, rows), last, *waits])


def _notes(answer: Mapping[str, Any]) -> list[str]:
    return [f"note: {in_commands(note)}" for note in answer.get("notes", ())]


def _row(entry: Mapping[str, Any]) -> Sequence[object]:
    content = " ".join(entry["content"].split())
    title = entry.get("title", "")
    line = content if content.startswith(title) else f"{title}: {content}"
    tags = ", ".join(entry.get("tags", ()))
    made = entry["created_at"][:10]
    return (entry["id"], made, entry["kind"], _state(entry), tags, line)


def _state(entry: Mapping[str, Any]) -> str:
    if "superseded_by" in entry:
        return f"superseded by {entry['superseded_by']}"
    if "forgotten_at" in entry:
        return "forgotten"
    return "pinned" if entry.get("pinned") else ""


@click.command()
@filter_options
@in_option("memory")
@common_options
def tags(run: Invocation, **given: Any) -> None:
    """List tags with the number of live entries that have each."""
    run.show("memory.tags", _tags_text, **filters(given))


def _tags_text(answer: Mapping[str, Any]) -> str:
    rows = [(count, tag) for tag, count in answer["tags"].items()]
    shown = table(("entries", "tag"), rows) if rows else "There are no tags."
    return "\n".join([shown, *_notes(answer)])


@click.command()
@click.option("--namespace", help="Only of this one.")
@common_options
def stats(run: Invocation, namespace: str | None) -> None:
    """Count what is stored by its properties, and show how large the files are."""
    run.show("memory.stats", _stats_text, namespace=namespace)


def _stats_text(answer: Mapping[str, Any]) -> str:
    parts = [_counts_text(name.removeprefix("by_"), answer[name]) for name in answer
             if isinstance(answer[name], Mapping)]  # fmt: skip
    if "vectors_missing" in answer:
        parts.append(f"{answer['vectors_missing']} wait to be embedded")
    return "\n\n".join(parts)


def _counts_text(name: str, counts: Mapping[str, int]) -> str:
    return "\n".join(
        [f"{name}:", *(f"    {count:>10}  {value}" for value, count in counts.items())]
    )


@click.command()
@click.argument("ids", nargs=-1, required=True)
@common_options
def pin(run: Invocation, ids: tuple[str, ...]) -> None:
    """Pin entries, so that they are first in lists."""
    run.show("memory.pin", _pinned_text, ids=ids)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@common_options
def unpin(run: Invocation, ids: tuple[str, ...]) -> None:
    """Let go of pinned entries."""
    run.show("memory.pin", _pinned_text, ids=ids, pinned=False)


def _pinned_text(answer: Mapping[str, Any]) -> str:
    word = "pinned" if "pinned" in answer else "unpinned"
    lines = [f"{word.capitalize()}: {', '.join(answer[word]) or 'nothing'}."]
    if answer["unchanged"]:
        lines.append(f"Unchanged: {', '.join(answer['unchanged'])}.")
    return "\n".join([*lines, *answer.get("notes", ())])


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be undone.")
@click.option("--list", "listed", is_flag=True, help="List what was changed of late.")
@click.option("--limit", "-n", type=WholeNumber(1, 200), help="How many changes to list (20).")
@common_options
def undo(run: Invocation, dry_run: bool, listed: bool, limit: int | None) -> None:
    """Undo the last change: what was stored, forgotten, superseded, pinned or moved.

    So it is with an import, and with the merging and renaming of projects. What was learned from
    documents stays.
    """
    if listed:
        run.show("memory.changes", _changes_text, limit=limit)
    else:
        run.show("memory.undo", _undone_text, dry_run=dry_run)


def _changes_text(answer: Mapping[str, Any]) -> str:
    rows = [
        (one["at"], one["what"], one["count"], "undone" if "undone_at" in one else "", one["by"])
        for one in answer["changes"]
    ]
    return table(("when", "what", "entries", "", "by"), rows) if rows else "Nothing was changed."


def _undone_text(answer: Mapping[str, Any]) -> str:
    word, change = next(iter(answer.items()))
    names = ", ".join(change["entries"]) + (", ..." if change["count"] > 10 else "")
    label = "Undone" if word == "undone" else "Would be undone"
    whose = f"{change['what']} of {change['at']} by {change['by']}"
    return f"{label}: {', '.join(filter(None, (whose, names)))}."


COMMANDS = (list_entries, tags, stats, pin, unpin, undo)
