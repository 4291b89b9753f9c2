"""`review`: what was found in sessions and no rule was sure of, one by one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, Verbs, common_options, verbs
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.terminal import one_line

#: What each key does.
_KEYS = {"a": "accept", "e": "edit", "d": "drop", "l": "later", "q": "quit"}
_MOST = 500


@click.command("review")
@click.argument("candidate", required=False)
@click.option("--list", "listed", is_flag=True, help="Only list them.")
@click.option("--all", "everywhere", is_flag=True, help="Of all projects.")
@click.option("--accept", "decision", flag_value="accept", help="Make a memory of CANDIDATE.")
@click.option("--drop", "decision", flag_value="drop", help="Drop CANDIDATE.")
@click.option("--edit", "text", help="Make a memory of CANDIDATE, in these words.")
@common_options
def review(
    run: Invocation,
    candidate: str | None,
    listed: bool,
    everywhere: bool,
    decision: str | None,
    text: str | None,
) -> None:
    """Look through what sessions may have decided: accept, edit or drop each by one key."""
    if candidate:
        decision = "edit" if text is not None else decision or "accept"
        run.show("review.decide", _decided, id=candidate, decision=decision, text=text)
        return
    scope = "all" if everywhere else "project"
    if listed or run.as_json or not sys.stdin.isatty():
        run.show("review.list", _listed, scope=scope, limit=_MOST)
        return
    with verbs(run.config_file) as (session, *_):
        args = {"scope": scope, "limit": _MOST}
        _one_by_one(session, session.request("review.list", args)["candidates"])


def _listed(answer: Mapping[str, Any]) -> str:
    rows = [
        (one["id"], one["kind"], one["said_by"], one["at"][:10], one_line(one["text"]))
        for one in answer["candidates"]
    ]
    heads = ("id", "kind", "said by", "at", "what")
    return table(heads, rows) if rows else "There is nothing to review."


def _decided(answer: Mapping[str, Any]) -> str:
    entry = f" as {answer['entry']}" if "entry" in answer else ""
    return f"{answer['id']}: {answer['state']}{entry}"


def _one_by_one(session: Verbs, found: Sequence[Mapping[str, Any]]) -> None:
    if not found:
        click.echo("There is nothing to review.")
    for number, one in enumerate(found, 1):
        head = (
            f"{number} of {len(found)}  {one['kind']}, said by {one['said_by']}, {one['at'][:10]}"
        )
        click.echo(
            f"\n{head} in a session of {one_line(one['client'])}\n\n  {one_line(one['text'])}\n"
        )
        key = _key()
        if key == "q":
            break
        if key != "l":
            click.echo(_decided(_told(session, one, key)))
    if found:
        click.echo(f"{counted(len(found), 'candidate')} looked at or left.")


def _key() -> str:
    """Return the key of what is to be done."""
    while True:
        click.echo("a accept  e edit  d drop  l later  q quit > ", nl=False)
        key = click.getchar().lower()
        click.echo(_KEYS.get(key, ""))
        if key in _KEYS:
            return key


def _told(session: Verbs, one: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    args = {"id": one["id"], "decision": _KEYS[key]}
    if key == "e":
        args["text"] = (click.edit(one["text"]) or one["text"]).strip()
    answer: Mapping[str, Any] = session.request("review.decide", args)
    return answer


COMMANDS = (review,)
