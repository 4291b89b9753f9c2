"""`journal`: what was said and done in clients' sessions, by its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.terminal import one_line


@click.command("journal")
@click.argument("query", nargs=-1, required=True)
@click.option("--all", "everywhere", is_flag=True, help="Of all projects.")
@click.option("--limit", type=int, help="How many at most (20).")
@common_options
def journal(run: Invocation, query: tuple[str, ...], everywhere: bool, limit: int | None) -> None:
    """Search what was said and done in sessions: prompts, answers, commands, errors.

    An event is shown that has all words of QUERY, the newest first. Nothing of it is a memory.
    """
    scope = "all" if everywhere else "project"
    run.show("journal.search", _listed, query=" ".join(query), scope=scope, limit=limit)


def _listed(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            one["at"], one_line(one["client"]), one["said_by"], one["kind"],
            one_line(f"{one.get('path', '')} {one['text']}".strip()),
        )
        for one in answer["events"]
    ]  # fmt: skip
    heads = ("at", "client", "by", "kind", "what")
    return table(heads, rows) if rows else "The journal has nothing with all of these words."


COMMANDS = (journal,)
