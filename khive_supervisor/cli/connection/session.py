"""How a command reaches the verbs: through the supervisor, or in this process without one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import click

from khive_supervisor.access.grant import Grant, from_dict
from khive_supervisor.cli.connection.finding import holder_of, reach, socket_of
from khive_supervisor.cli.connection.trust import ignored
from khive_supervisor.cli.render.output import as_json_option, emit
from khive_supervisor.config.load import LoadedConfig, load
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError, NotRunning
from khive_supervisor.host import holder, paths
from khive_supervisor.team.waiting import WAITING
from khive_supervisor.text.plain_json import JsonObject

T = TypeVar("T")

#: Variables that the supervisor is told of a command.
_PASSED_ON = ("KHIVE_NAMESPACE", "KHIVE_ACTOR", "CLAUDE_PROJECT_DIR")

Progress = Callable[[JsonObject], None]


class Verbs(Protocol):
    """Something that runs verbs."""

    def request(
        self, operation: str, args: JsonObject | None = None, progress: Progress | None = None
    ) -> Any:
        """Run a verb and return its answer, as docs/verbs.md has it; raises KhiveError."""


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the `--config` option, spelt the same for every command (argument `config_file`)."""
    return click.option(
        "--config", "config_file", type=click.Path(), help="The configuration file to use."
    )(function)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What every command is given: which configuration, and whether its result is to be JSON."""

    config_file: str | None
    as_json: bool

    def ask(self, verb: str, **given: Any) -> Any:
        """Return what a verb answers to what was given: the arguments neither None nor ()."""
        with verbs(self.config_file) as (session, *_):
            return session.request(verb, without_none(given))

    def emit(self, data: T, render: Callable[[T], str], *, exact: bool = False) -> None:
        """Print a result as `output.emit` does; of a write that waits, that it does."""
        waits = isinstance(data, Mapping) and data.get("status") == WAITING and "note" in data
        emit(data, self.as_json, _note_of if waits else render, exact=exact)

    def show(self, verb: str, render: Callable[[Any], str], **given: Any) -> None:
        """Print what a verb answers."""
        self.emit(self.ask(verb, **given), render)


def _note_of(answer: Any) -> str:
    return str(answer["note"])


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--json`; the command gets them first, as an `Invocation`."""

    @functools.wraps(function)
    def command(*, config_file: str | None, as_json: bool, **given: Any) -> Any:
        return function(Invocation(config_file, as_json), **given)

    return config_option(as_json_option(command))


def loaded(config_file: str | None) -> LoadedConfig:
    """Return the configuration in force here; raises ConfigError with every problem."""
    ignored(config_file)
    return load(config_file, paths.working_directory(), os.environ)


def without_daemon() -> bool:
    """Return whether the user wants no supervisor."""
    return os.environ.get("KHIVE_NO_DAEMON", "").lower() not in ("", "0", "false")


@contextmanager
def verbs(config_file: str | None, count: int = 1, cwd: str | None = None) -> Iterator[list[Verbs]]:
    """`count` conversations that run verbs, as if from `cwd`; starts a supervisor if none runs."""
    here = cwd or paths.working_directory()
    if without_daemon():
        from khive_supervisor.cli.connection.alone import VerbsAlone

        with VerbsAlone(config_file, here, seen_by_supervisor(config_file)) as alone:
            yield [alone]
        return
    fields = command_hello(config_file, here)

    def talk(path: str) -> ControlClient:
        return ControlClient(path, "verbs", **fields)

    with ExitStack() as stack:
        first = stack.enter_context(_reach_or_start(config_file, talk))
        others = [stack.enter_context(talk(first.path)) for _ in range(count - 1)]
        yield [first, *others]


def without_none(given: Mapping[str, Any]) -> JsonObject:
    """Return the arguments that are neither None nor (); a tuple of words is a list to verbs."""
    taken = {name: value for name, value in given.items() if value not in (None, ())}
    return {n: list(value) if isinstance(value, tuple) else value for n, value in taken.items()}


def command_hello(config_file: str | None, cwd: str | None = None) -> JsonObject:
    """Return what a conversation tells of this command: where it is, and what it goes by."""
    cwd = cwd or paths.working_directory()
    return {
        "pid": os.getpid(),
        "cwd": cwd,
        "env": {n: v for n in _PASSED_ON if (v := os.environ.get(n))},
        "config": paths.find_config(config_file, paths.working_directory()),
        "ignored": ignored(config_file),
        "store": holder.store_named(),
        "default_store": holder.default_store(),
    }


def _reach_or_start(config_file: str | None, talk: Callable[[str], ControlClient]) -> ControlClient:
    """Talk to the store's supervisor; one of 0.1.0, which serves no other release, is replaced."""
    holds = holder_of(config_file)
    if holds is not None and holds.release is None:
        from khive_supervisor.cli.connection.starting import replace_old

        replace_old(config_file)
    try:
        return reach(config_file, talk)
    except NotRunning:
        from khive_supervisor.cli.connection.starting import start_in_background

        start_in_background(config_file)
        return reach(config_file, talk)


def seen_by_supervisor(config_file: str | None) -> Grant | None:
    """Return what this command may do as the supervisor sees it; None if nobody says so at once.

    Its ancestors are known there alone, so that who wants no supervisor is asked about, too.
    """
    try:
        with ControlClient(socket_of(config_file)) as client:
            return from_dict(client.request("grant"))
    except KhiveError:  # nobody, nobody who answers, or a release that does not know
        return None
