"""migrate, join, leave: a store from one machine to a team's server, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from khive_supervisor.cli.connection.finding import holder_of
from khive_supervisor.cli.connection.permission import operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import note, progress
from khive_supervisor.cli.service.supervise import end_supervisor
from khive_supervisor.cli.team import server_setting
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import AlreadyRunning, InvalidInput
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.supervision.lock import StoreLock
from khive_supervisor.supervision.team import errand
from khive_supervisor.team.address import address_of, replica_path
from khive_supervisor.team.moves import Moved, MoveStep

_START = "To use it: khive-supervisor stop; khive-supervisor start --background"
_ADD = "`export` this machine's own memories, and `import` them once you are in."


_ANYWAY = "Although writes of this machine wait, which the team does not have yet."


@click.command()
@click.option(
    "--to",
    "target",
    required=True,
    metavar="URL|FILE",
    help="postgresql://user@host/database, or a file that does not exist.",
)
@click.option("--dry-run", is_flag=True, help="Look at both sides, and change nothing.")
@click.option("--anyway", is_flag=True, help=_ANYWAY)
@common_options
def migrate(run: Invocation, target: str, dry_run: bool, anyway: bool) -> None:
    """Move this machine's store to a team's server, or a team's store to a FILE.

    What was moved is compared row by row, and where it was stays as it is. To a server: this
    machine is its first node then, and the configuration names it. Repeated after an interruption
    it goes on where it was.
    """
    operators_only(run.config_file, "migrate")
    if "://" in target:
        _to_server(run, target, dry_run)
    else:
        _refuse_waiting(loaded(run.config_file).config, anyway=anyway or dry_run)
        _to_file(run, os.path.abspath(target), dry_run)


def _to_server(run: Invocation, url: str, dry_run: bool) -> None:
    config = _at(loaded(run.config_file).config, url)
    source = config.plain_store
    if dry_run:
        found = _errand(config, "look", source)
        run.emit(found, lambda answer: _look_text(answer, source))
        return
    _refuse_replica(config)
    with _owned(source, run.config_file):
        done = _errand(config, "to-server", source)
    file = server_setting.put(run.config_file, url)
    run.emit({**done, "config": file}, lambda _: _moved_text(done, source, file))


def _look_text(found: Moved, source: str) -> str:
    lines = [
        f"{source}: {_entries(found['entries'])}, {found.get('bytes', 0)} bytes",
        f"{found['server']}: can be used",
    ]
    problems = found.get("problems", [])
    lines += [f"It cannot be moved: {problem}." for problem in problems]
    return "\n".join([*lines, *([_ADD] if problems else ["Nothing was changed."])])


def _moved_text(done: Moved, source: str, file: str) -> str:
    return "\n".join(
        (
            f"{_entries(done['entries'])} and all else: at {done['server']}.",
            f"{_compared(done)}.",
            f"{source} stays as it was, and is not used any more: remove it when you like.",
            f"{file} names the server. {_START}",
        )
    )


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _compared(done: Moved) -> str:
    compared = done.get("compared", {"rows": 0, "tables": 0})
    return f"{compared['rows']} rows of {compared['tables']} tables compared: all are equal"


def _to_file(run: Invocation, target: str, dry_run: bool) -> None:
    config = loaded(run.config_file).config
    if not config.store.url:
        raise InvalidInput(
            "This store is this machine's own already.",
            hint="`khive-supervisor backup FILE` copies it.",
        )
    if os.path.lexists(target):
        raise InvalidInput(f"{target} exists.", hint="Name a file that does not.")
    if dry_run:
        found = _errand(config, "look", config.store.path)
        found["problems"] = []
        run.emit(found, lambda answer: _look_text(answer, config.store.path))
        return
    done = _errand(config, "to-file", target)
    run.emit(done, lambda _: _to_file_text(done))


def _to_file_text(done: Moved) -> str:
    return "\n".join(
        (
            f"{_entries(done['entries'])} and all else, as of change {done['number']}:",
            f"{done.get('file')}. {_compared(done)}.",
            "The team goes on as it was. To use the file: `leave`, and set store.path to it.",
        )
    )


@click.command()
@click.argument("url")
@click.option("--dry-run", is_flag=True, help="Look at the server, and change nothing.")
@common_options
def join(run: Invocation, url: str, dry_run: bool) -> None:
    """Join the team whose store is at URL: postgresql://user@host/database.

    This machine gets a copy of the team's store, and its configuration names the server. The store
    that it had alone stays where it is, and is used again after `leave`.
    """
    operators_only(run.config_file, "join")
    config = _at(loaded(run.config_file).config, url)
    there = os.path.exists(config.store.path)
    if dry_run:
        found = _errand(config, "look-at-team", "")
        run.emit(found, _team_text)
        return
    done = _errand(config, "look-at-team" if there else "join", "")
    file = server_setting.put(run.config_file, url)
    run.emit({**done, "config": file}, lambda _: _joined_text(done, config, file))


def _team_text(found: Moved) -> str:
    size = f"{_entries(found['entries'])} in its last base, change {found['number']} now"
    return f"{found['server']} can be joined: {size}. Nothing was changed."


def _joined_text(done: Moved, config: Config, file: str) -> str:
    lines = [
        f"Joined {done['server']}, which is at change {done['number']}.",
        f"This machine's copy is {config.store.path}.",
    ]
    if os.path.exists(config.plain_store):
        lines.append(f"{config.plain_store}, which it had alone, stays as it is. {_ADD}")
    return "\n".join([*lines, f"{file} names the server. {_START}"])


@click.command()
@click.option("--anyway", is_flag=True, help=_ANYWAY)
@common_options
def leave(run: Invocation, anyway: bool) -> None:
    """Leave the team: its server is named no more, and this machine's own store is used again.

    The supervisor is stopped. The copy of the team's store stays where it is, to be removed or
    taken up again by `join`; `migrate --to FILE` before makes a store of one's own of it.
    """
    operators_only(run.config_file, "leave")
    found = loaded(run.config_file)
    if not found.config.store.url:
        raise InvalidInput("This machine is in no team.", hint="`join` is how to get into one.")
    _refuse_waiting(found.config, anyway=anyway)
    _give_up_roles(run.config_file, found.config)
    end_supervisor(run.config_file)
    done = _errand(found.config, "leave", "")
    origin = found.origins.get("store.url", "")
    file = server_setting.put(run.config_file, "")
    run.emit({**done, "config": file}, lambda _: _left_text(done, found.config))
    if server_setting.in_force(run.config_file).config.store.url:
        note(f"store.url is still set by {origin}: take it out there.")


def _give_up_roles(config_file: str | None, config: Config) -> None:
    """Have no role wait for this node, and no schedule be its own: its replicator runs still."""
    if holder_of(config_file) is None:
        note("No supervisor runs: what roles this machine served stays listed in the team.")
        return
    with open_store(config) as store:
        store.roles.set([])
        store.schedules.configure([])


def _left_text(done: Moved, config: Config) -> str:
    own = config.plain_store
    what = "is used again" if os.path.exists(own) else "is made anew at the next start"
    return "\n".join(
        (
            f"Left {done['server']} at change {done['number']}.",
            f"The copy of the team's store stays: {done.get('file')}.",
            "Remove its directory if you will not come back.",
            f"{own}, this machine's own store, {what}.",
        )
    )


# --- what all of them do ------------------------------------------------------------------------


def _at(config: Config, url: str) -> Config:
    """Return the configuration as it would be with a server."""
    try:
        address = address_of(url)
    except ValueError as error:
        raise InvalidInput(f"{url.partition('@')[2] or url}: {error}.") from None
    if address.password:
        raise InvalidInput(
            "A password in the URL would stand in your configuration, and in the shell's history.",
            hint="Put it into ~/.pgpass, and leave it out here.",
        )
    plain = config.plain_store or os.path.expanduser(config.store.path)
    store = replace(config.store, url=address.url, path=replica_path(plain, address.url))
    password = config.password if config.store.url == address.url else ""
    return replace(config, store=store, plain_store=plain, password=password)


def _refuse_waiting(config: Config, *, anyway: bool) -> None:
    """Refuse to go on while writes of this machine wait, which would stay behind."""
    if anyway or not config.store.url or not os.path.exists(config.store.path):
        return
    with open_store(config) as store:
        found = store.waiting.standing()
    if found:
        raise InvalidInput(
            f"{found.waiting + found.aside} writes of this machine are not with the team yet.",
            hint="They are stored by themselves once its server is back; `khive-supervisor team "
            "waiting` lists them, with those that could not be. --anyway leaves them beside "
            f"{config.store.path}, where `join` finds them again.",
        )


def _refuse_replica(config: Config) -> None:
    if os.path.exists(config.store.path):
        raise InvalidInput(
            f"This machine has a copy of that server's store already: {config.store.path}.",
            hint=f"Nothing was moved. `join` uses it. {_ADD}",
        )


@contextmanager
def _owned(store: str, config_file: str | None) -> Iterator[None]:
    """Keep supervisors from a store meanwhile; raises AlreadyRunning."""
    if not os.path.exists(store):
        raise InvalidInput(
            f"There is no store at {store} yet.", hint="`join` makes this machine a node."
        )
    lock = StoreLock(store)
    try:
        lock.acquire()
    except AlreadyRunning:
        at = f" --config {config_file}" if config_file else ""
        raise InvalidInput(
            f"A supervisor uses {store}: what it writes meanwhile would be left behind.",
            hint=f"`khive-supervisor stop{at}`, and repeat this.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _errand(config: Config, what: str, file: str) -> Moved:
    """Do one thing with the server; show on a terminal how far it is."""
    with progress(_LABELS.get(what, "asking"), 100) as advance:
        return errand.run(config, what, file=file, tell=_Shown(advance))


_LABELS = {"to-server": "moving", "to-file": "moving", "join": "joining"}
#: In hundredths, where each step begins and how much of all it is.
_SHARES = {
    "copying": (0, 15),
    "sending": (15, 60),
    "checking": (75, 25),
    "catching up": (0, 80),
    "loading": (0, 100),
}


class _Shown:
    """A bar of hundredths over all steps."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._shown = 0

    def __call__(self, step: MoveStep) -> None:
        begin, share = _SHARES.get(step.step, (0, 0))
        now = begin + share * step.done // max(1, step.total)
        if now > self._shown:
            self._advance(now - self._shown)
            self._shown = now


COMMANDS = (migrate, join, leave)
