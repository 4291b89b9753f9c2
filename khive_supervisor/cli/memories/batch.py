"""batch: several verbs at once, from a file or a pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.errors import InvalidInput


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--key", help="A name of your own: with the same one, the same calls are done once.")
@common_options
def batch(run: Invocation, file: TextIO, key: str | None) -> None:
    """Run the calls in FILE, or of standard input (-), in one transaction: all of them, or none."""
    calls = read_calls(file.read())
    run.show("batch.run", lambda answer: _done(calls, answer), calls=calls, key=key)


def read_calls(text: str) -> list[Any]:
    """Return the calls of a text: a list in JSON, or one call a line.

    Raises:
        InvalidInput: neither; it names the line.
    """
    if text.lstrip().startswith("["):
        return list(_parsed(text, "The file"))
    lines = enumerate(text.splitlines(), 1)
    return [_parsed(line, f"Line {number}") for number, line in lines if line.strip()]


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{where} is no JSON: {error}.",
            hint='Write a call a line: {"verb": "memory.get", "args": {"ids": ["m1"]}}.',
        ) from None


def _done(calls: Sequence[Any], answer: Mapping[str, Any]) -> str:
    rows = [
        (number, call["verb"], one.get("id") or one.get("task") or "", one.get("status", ""))
        for number, (call, one) in enumerate(zip(calls, answer["results"], strict=True), 1)
    ]
    shown = table(("", "verb", "id", ""), rows)
    if answer.get("repeated"):
        return f"{shown}\n\nDone already, at {answer['at']}."
    return f"{shown}\n\n{counted(answer['done'], 'call')} done; --json has all answers."


COMMANDS = (batch,)
