"""purge and secrets: what must not be in the store is removed for good."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.filters import filter_options, filters, in_option, state_option
from khive_supervisor.cli.render.output import counted, note, table
from khive_supervisor.errors import InvalidInput

Answer = Mapping[str, Any]


def _confirm(question: str) -> None:
    """Ask; raises InvalidInput where nobody can be asked."""
    if not sys.stdin.isatty():
        raise InvalidInput(
            "Removing for good has to be confirmed, and there is nobody to ask.",
            hint="Look with --dry-run, and repeat it with --yes.",
        )
    click.confirm(question, abort=True, err=True)


@click.command()
@click.argument("ids", nargs=-1)
@filter_options
@in_option("memory")
@state_option("all")
@click.option("--dry-run", is_flag=True, help="Say what would be purged, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def purge(
    run: Invocation,
    ids: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Remove entries for good: those of IDS, or what the filter lets through."""
    chosen = {"ids": ids, **filters(given)}
    if dry_run:
        run.show("memory.purge", _planned_text, dry_run=True, **chosen)
        return
    if not yes:
        note(_planned_text(run.ask("memory.purge", dry_run=True, **chosen)))
        _confirm("Remove that for good?")
    run.show("memory.purge", _purged_text, **chosen)


def _planned_text(answer: Answer) -> str:
    head = f"{_entries(answer['would_purge'])} would be purged."
    return "\n".join([head, *("    " + line for line in answer["entries"]), *_notes(answer)])


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _notes(answer: Answer) -> list[str]:
    return [f"note: {text}" for text in answer.get("notes", ())]


def _purged_text(answer: Answer) -> str:
    lines = [f"Purged: {', '.join(answer['purged']) or 'nothing'}."]
    lines += [f"still said by: {name}" for name in answer.get("sources", ())]
    if versions := answer.get("earlier_versions"):
        lines.append(f"earlier versions are there still: {', '.join(versions)}")
    return "\n".join([*lines, *_left_lines(answer), *_notes(answer)])


def _left_lines(answer: Answer) -> list[str]:
    left = [f"left in {one['where']}: {one['what']}" for one in answer["left"]]
    return left or ["Nothing of it is left in the store's directory."]


@click.group()
def secrets() -> None:
    """Secrets that the store holds: where they are, and how they get out of it."""


@secrets.command("scan")
@click.option("--fix", is_flag=True, help="Mask them, and remove what was there for good.")
@click.option("--yes", is_flag=True, help="Do not ask before --fix.")
@common_options
def scan(run: Invocation, fix: bool, yes: bool) -> None:
    """Name the secrets in all that is kept: ids, places and rules, never a value."""
    if fix and not yes:
        note(_scan_text(run.ask("secrets.scan")))
        _confirm("Mask them, and remove what was there for good?")
    run.show("secrets.scan", _scan_text, fix=fix or None)


def _scan_text(answer: Answer) -> str:
    if not answer["found"]:
        return "No secrets were found."
    rows = [(one["id"], one["field"], one["place"]) for one in answer["places"]]
    more = f"; the first {len(rows)} are named" if answer["found"] > len(rows) else ""
    lines = [table(("id", "field", "place"), rows), f"{counted(answer['found'], 'place')}{more}."]
    if "left" in answer:
        lines += [*answer["masked"], f"Purged: {', '.join(answer['purged']) or 'nothing'}."]
        lines += [f"Masked elsewhere: {answer['masked_elsewhere']}.", *_left_lines(answer)]
    else:
        lines.append("`khive-supervisor secrets scan --fix` masks them.")
    return "\n".join(lines)


COMMANDS = (purge, secrets)
