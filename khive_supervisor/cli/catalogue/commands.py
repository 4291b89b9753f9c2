"""catalog, catalog diff: what others may rely on, and what of it another release breaks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor import __version__, exitcodes
from khive_supervisor.catalogue import compare
from khive_supervisor.catalogue.document import PARTS, installed, outline, read
from khive_supervisor.cli.render.output import as_json_option, counted, emit, table
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.text.plain_json import JsonObject

_PART = click.option(
    "--part", type=click.Choice(tuple(PARTS)), metavar="NAME", help="Only this part, whole."
)


@click.group(invoke_without_command=True)
@_PART
@as_json_option
@click.pass_context
def catalog(context: click.Context, part: str | None, as_json: bool) -> None:
    """Show all that others may rely on: verbs, settings, commands, routes, metrics, events.

    With --json it is one document, with arguments and answers as JSON Schema. Keep it, and
    `catalog diff` says what the next release breaks.
    """
    if context.invoked_subcommand is None:
        document = _installed()
        chosen = document if part is None else _only(document, part)
        emit(chosen, as_json, lambda shown: _text(shown, details=part is not None))


@catalog.command()
@click.argument("old")
@click.argument("new", required=False)
@as_json_option
def diff(old: str, new: str | None, as_json: bool) -> None:
    """Compare the catalogues OLD and NEW (the installed one): what breaks, changes, and is new.

    Exit code 0 when nothing breaks, 1 when something does.
    """
    before, after = _read(old), _installed() if new is None else _read(new)
    found = compare.compare(before, after)
    answer = {
        "old": before["version"],
        "new": after["version"],
        **{
            weight: [_shown(one) for one in found if one.weight == weight]
            for weight in ("breaks", "changes", "adds")
        },
    }
    emit(answer, as_json, _differences)
    sys.exit(exitcodes.FAILURE if answer["breaks"] else exitcodes.OK)


def _shown(one: compare.Difference) -> JsonObject:
    return {"part": one.part, "name": one.name, "what": one.what}


def _installed() -> JsonObject:
    from khive_supervisor.packs import loading  # slow to import

    return installed(loading.load())


def _only(document: JsonObject, part: str) -> JsonObject:
    return {"version": document["version"], "form": document["form"], part: document[part]}


def _read(file: str) -> JsonObject:
    try:
        with open(file, encoding="utf-8") as opened:
            return read(opened.read(), file)
    except UnicodeDecodeError:
        raise InvalidInput(f"{file} is no catalogue.") from None
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}.") from error


def _text(document: Mapping[str, Any], *, details: bool) -> str:
    parts = {name: value for name, value in document.items() if name in PARTS}
    if details:
        rows = [row for value in outline(parts).values() for row in value.items()]
        return table(("name", "what it is"), rows)
    rows = [(name, len(value), PARTS[name]) for name, value in parts.items()]
    head = f"The catalogue of {__version__}; --part NAME lists one, --json has all.\n\n"
    return head + table(("part", "things", "what they are"), rows)


def _differences(answer: Mapping[str, Any]) -> str:
    lines = []
    for weight, title in (("breaks", "Breaks"), ("changes", "Changes"), ("adds", "Adds")):
        rows = [(one["part"], one["name"], one["what"]) for one in answer[weight]]
        if rows:
            lines += [f"{title}:", table(("part", "name", "what"), rows), ""]
    count = counted(len(answer["breaks"]), "difference")
    verdict = f"{count} from {answer['old']} to {answer['new']} break what relied on them."
    if not answer["breaks"]:
        verdict = f"Nothing that {answer['old']} declares is broken by {answer['new']}."
    return "\n".join([*lines, verdict])


COMMANDS = (catalog,)
