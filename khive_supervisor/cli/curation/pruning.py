"""prune: what has faded goes out of every search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.filters import filter_options, filters
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.times import asked


@click.command()
@filter_options
@click.option(
    "--threshold", type=float, help="What is left of the salience: less than this (0.02)."
)
@click.option("--older-than", help="Only memories made before then (90d).")
@click.option("--limit", "-n", type=WholeNumber(1, 10_000), help="How many at most (10000).")
@click.option("--dry-run", is_flag=True, help="Only tell what would be pruned.")
@common_options
def prune(run: Invocation, dry_run: bool, **given: Any) -> None:
    """Take memories out of every search of whose salience almost nothing is left."""
    args = filters(given)
    if given["older_than"]:
        args["older_than"] = asked(given["older_than"])
    run.show("memory.prune", _pruned, dry_run=dry_run, **args)


def _pruned(answer: Mapping[str, Any]) -> str:
    would = "would_prune" in answer
    count = answer["would_prune" if would else "pruned"]
    rows = [(one["id"], one["created_at"][:10], one["left"], one["line"])
            for one in answer["entries"]]  # fmt: skip
    lines = [table(("id", "made", "left", "text"), rows), ""] if rows else []
    said = counted(count, "memory").replace("memorys", "memories")
    if would or not count:
        lines.append(f"{said} would be pruned." if would else "Nothing has faded so far.")
    else:
        lines.append(f"{said} pruned; undo brings {'it' if count == 1 else 'them'} back.")
    if answer["kept"]:
        kept = ", ".join(f"{number} {why}" for why, number in answer["kept"].items())
        lines.append(f"Faded and kept all the same: {kept}.")
    return "\n".join(lines)


COMMANDS = (prune,)
