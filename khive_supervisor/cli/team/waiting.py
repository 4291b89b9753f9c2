"""team waiting, retry, drop: writes of this machine that the team does not have yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from khive_supervisor.cli.connection.finding import control
from khive_supervisor.cli.connection.permission import not_confined
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown
from khive_supervisor.cli.team.members import in_a_team, team
from khive_supervisor.config.settings.model import Config
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.team.waiting import WaitingStore
from khive_supervisor.team.waiting import ShownCall
from khive_supervisor.team.waiting import shown as as_shown
from khive_supervisor.text.plain_json import JsonObject


@team.command()
@common_options
def waiting(run: Invocation) -> None:
    """List the writes that wait on this machine until the team's server is back.

    They are stored by themselves, in their order. One that failed for good was put aside with its
    error: `team retry` has it tried again behind the others, `team drop` forgets it.
    """
    not_confined(run.config_file, "team waiting")
    with _waiting(loaded(run.config_file).config) as calls:
        found = [as_shown(one) for one in calls.all()] if calls is not None else []
    run.emit({"writes": found}, lambda answer: _text(answer["writes"]))


@team.command()
@click.argument("number", type=click.IntRange(min=1))
@common_options
def retry(run: Invocation, number: int) -> None:
    """Have write NUMBER, which could not be stored, tried again."""
    answer = _asked(run, "team.retry", number)
    run.emit(answer, lambda one: f"It waits again, as write {one['number']}, behind the others.")


@team.command()
@click.argument("number", type=click.IntRange(min=1))
@common_options
def drop(run: Invocation, number: int) -> None:
    """Forget write NUMBER: it will not be stored."""
    answer = _asked(run, "team.drop", number)
    run.emit(
        answer, lambda one: f"Forgotten: {one['verb']} by {one['by']}: {one_line(one['gist'])}"
    )


def _asked(run: Invocation, operation: str, number: int) -> JsonObject:
    """Ask the supervisor, which has the audit chain told of it when the team's server is there."""
    in_a_team(loaded(run.config_file).config)
    with control(run.config_file) as client:
        return client.request(operation, {"number": number})


@contextmanager
def _waiting(config: Config) -> Iterator[WaitingStore | None]:
    """Give what waits beside this machine's replica; None: there is no replica yet."""
    in_a_team(config)
    if not os.path.exists(config.store.path):
        yield None
        return
    with open_store(config) as store:
        yield store.waiting


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
