"""backup and restore: a copy of the store, and the way back, while everybody goes on."""

from __future__ import annotations

import os
import time

import click

from khive_supervisor.audit import actors
from khive_supervisor.cli.connection.finding import control
from khive_supervisor.cli.connection.permission import operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import note
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import StoreError, StoreUnavailable
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.lock import StoreLock


@click.command()
@click.argument("file", type=click.Path())
@common_options
def backup(run: Invocation, file: str) -> None:
    """Copy the whole store to a new FILE; sessions go on meanwhile."""
    operators_only(run.config_file, "backup")
    target = os.path.abspath(file)
    with open_store(loaded(run.config_file).config) as store:
        store.backup(target)
        _on_record(store, target)
    data = {"file": target, "bytes": os.path.getsize(target)}
    run.emit(data, lambda d: f"Backed up to {d['file']} ({d['bytes']} bytes).")


@click.command()
@click.argument("file", type=click.Path())
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def restore(run: Invocation, file: str, yes: bool) -> None:
    """Replace everything in the store by the backup FILE; what it held is kept beside it.

    Sessions go on, and see the restored content in their next call. A store that is damaged can
    only be replaced while no supervisor runs.
    """
    operators_only(run.config_file, "restore")
    if not yes:
        click.confirm(f"Replace everything in the store by {file}?", abort=True, err=True)
    config = loaded(run.config_file).config
    before = _kept(config, time.strftime("%Y%m%d-%H%M%S"))
    with open_store(config) as store:
        store.restore_backup(os.path.abspath(file))
    data = {"restored": os.path.abspath(file), "before": before}
    run.emit(data, lambda d: f"Restored {d['restored']}. What was there: {d['before']}")


@click.command()
@click.argument("file", type=click.Path())
@common_options
def rescue(run: Invocation, file: str) -> None:
    """Save a store whose file was deleted to a new FILE: the supervisor has it open still."""
    with control(run.config_file) as client:
        data = client.request("rescue", {"file": os.path.abspath(file)})
    run.emit(data, lambda d: f"Saved to {d['file']} ({d['bytes']} bytes).")


def _on_record(store: Store, target: str) -> None:
    """Record the backup; it is made, whether or not there is room for that."""
    try:
        store.audit.record("store.backed_up", actors.STORE, {"to": target})
    except StoreUnavailable as error:
        note(f"The backup is not in the audit chain: {error.message}")


def _kept(config: Config, stamp: str) -> str:
    """Copy what the store holds, or put a damaged one aside; return where that is."""
    try:
        with open_store(config) as store:
            before = f"{store.path}.before-restore-{stamp}"
            store.backup(before)
            return before
    except StoreUnavailable:
        raise
    except StoreError as error:
        note(f"The store cannot be opened: {error.message}")
        return _move_aside(config, stamp)


def _move_aside(config: Config, stamp: str) -> str:
    """Put a damaged store out of the way; raises AlreadyRunning while a supervisor has it."""
    path = os.path.realpath(config.store.path)
    lock = StoreLock(path)
    lock.acquire()
    try:
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.rename(path + suffix, f"{path}.damaged-{stamp}{suffix}")
    finally:
        lock.release()
    return f"{path}.damaged-{stamp}"


COMMANDS = (backup, rescue, restore)
