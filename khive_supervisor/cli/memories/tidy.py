"""tidy: what memories could be merged or taken out, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import table


@click.command()
@click.option("--apply", is_flag=True, help="Do it; without this, it is only shown.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, as without --apply.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(("same", "otherwise", "expired", "faded")),
    help="Only these proposals; repeatable.",
)
@click.option("--namespace", help="Where to look.")
@common_options
def tidy(run: Invocation, dry_run: bool, **args: Any) -> None:
    """Show what could be merged or taken out: said twice, said otherwise since, over, or faded."""
    args["apply"] = args["apply"] and not dry_run
    run.show("memory.tidy", _tidied_text, **args)


def _tidied_text(answer: Mapping[str, Any]) -> str:
    rows = [
        (one["id"], one["kind"], one.get("kept", "-"), one["why"], one["line"])
        for one in answer["proposals"]
    ]
    if not rows:
        return "Nothing is to be tidied up."
    shown = table(("id", "what", "kept", "why", "text"), rows)
    if answer["applied"]:
        return f"{shown}\n\n{answer['applied']} went; undo brings them back."
    return f"{shown}\n\n{answer['proposed']} could go: --apply does it, and undo takes it back."


COMMANDS = (tidy,)
