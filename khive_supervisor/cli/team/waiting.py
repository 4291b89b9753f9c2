"""team waiting, retry, drop: writes of this machine that the team does not have yet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

import click

from khive_supervisor.cli.connection.permission import not_confined, operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown
from khive_supervisor.cli.team.members import in_a_team, team
from khive_supervisor.config.settings.model import Config
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.team.waiting import WaitingStore
from khive_supervisor.team.waiting import WaitingCall, gist


class ShownCall(TypedDict):
    """A call that waits, as people and programs see it; without an error it waits."""

    number: int
    at: str
    by: str
    verb: str
    gist: str
    error: str


@team.command()
@common_options
def waiting(run: Invocation) -> None:
    """List the writes that wait on this machine until the team's server is back.

    They are stored by themselves, in their order. One that failed for good was put aside with its
    error: `team retry` has it tried again behind the others, `team drop` forgets it.
    """
    not_confined(run.config_file, "team waiting")
    with _waiting(loaded(run.config_file).config) as calls:
        found = [_shown(one) for one in calls.all()] if calls is not None else []
    run.emit({"writes": found}, lambda answer: _text(answer["writes"]))


@team.command()
@click.argument("number", type=click.IntRange(min=1))
@common_options
def retry(run: Invocation, number: int) -> None:
    """Have write NUMBER, which could not be stored, tried again."""
    operators_only(run.config_file, "team retry")
    with _waiting(loaded(run.config_file).config, make=True) as calls:
        assert calls is not None
        again = calls.retry(number)
    run.emit({"number": again}, lambda _: f"It waits again, as write {again}, behind the others.")


@team.command()
@click.argument("number", type=click.IntRange(min=1))
@common_options
def drop(run: Invocation, number: int) -> None:
    """Forget write NUMBER: it will not be stored."""
    operators_only(run.config_file, "team drop")
    with _waiting(loaded(run.config_file).config, make=True) as calls:
        assert calls is not None
        found = _shown(calls.drop(number))
    run.emit(found, lambda one: f"Forgotten: {one['verb']} by {one['by']}: {one_line(one['gist'])}")


@contextmanager
def _waiting(config: Config, *, make: bool = False) -> Iterator[WaitingStore | None]:
    """Give what waits beside this machine's replica; None: there is no replica yet."""
    in_a_team(config)
    if not make and not os.path.exists(config.store.path):
        yield None
        return
    with open_store(config) as store:
        yield store.waiting


def _shown(call: WaitingCall) -> ShownCall:
    said = call.said
    request = said.caller["request"]
    who = str(dict(request["env"] or {}).get("KHIVE_ACTOR") or request["session"] or "a command")
    client = " ".join(filter(None, said.caller["client"]))
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(said.time.wall))
    return {
        "number": call.number,
        "at": moment,
        "by": f"{who} ({client})" if client else who,
        "verb": said.verb,
        "gist": gist(said.arguments),
        "error": call.error,
    }


def _text(calls: list[ShownCall]) -> str:
    if not calls:
        return "Nothing waits: the team has all that was written here."
    rows = [
        (one["number"], shown(one["at"]), one_line(one["by"]), one["verb"], one_line(one["gist"]))
        for one in calls
    ]
    lines = [table(("write", "at", "by", "verb", "says"), rows)]
    aside = [one for one in calls if one["error"]]
    lines += [f"{one['number']} could not be stored: {one_line(one['error'])}" for one in aside]
    count = len(calls) - len(aside)
    if count:
        what = "waits for the server; it is" if count == 1 else "wait for the server; they are"
        lines.append(f"{counted(count, 'write')} {what} stored without more ado.")
    return "\n".join(lines)


COMMANDS = (team,)
