"""approvals, approve, reject: what waits for somebody's word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.times import shown


@click.command("approvals")
@click.option("--all", "every", is_flag=True, help="Also those that were answered.")
@common_options
def approvals(run: Invocation, every: bool) -> None:
    """List what waits for an approval."""
    run.show("workflow.approvals", _approvals_text, all=every or None)


def _approvals_text(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            one["approval"],
            one["task"],
            one["role"],
            one.get("workflow", ""),
            one["state"],
            one["by"],
            shown(one.get("expires_at", "")),
            one.get("note", ""),
        )
        for one in answer["approvals"]
    ]
    headers = ("approval", "task", "role", "workflow", "state", "by", "expires", "note")
    return table(headers, rows) if rows else "Nothing waits for an approval."


@click.command("approve")
@click.argument("approval", metavar="ID")
@click.option("--note", help="Why; it is kept with the decision.")
@common_options
def approve(run: Invocation, approval: str, note: str | None) -> None:
    """Give an approval that is asked for: ID is its own (a3), or its task's (t12)."""
    run.show("workflow.approve", _decided_text, approval=approval, note=note)


@click.command("reject")
@click.argument("approval", metavar="ID")
@click.option("--note", help="Why; it is kept with the decision.")
@common_options
def reject(run: Invocation, approval: str, note: str | None) -> None:
    """Refuse an approval that is asked for: ID is its own (a3), or its task's (t12)."""
    run.show("workflow.reject", _decided_text, approval=approval, note=note)


def _decided_text(answer: Mapping[str, Any]) -> str:
    return f"{answer['approval']} {answer['decision']}: {answer['task']} {answer['state']}"


COMMANDS = (approvals, approve, reject)
