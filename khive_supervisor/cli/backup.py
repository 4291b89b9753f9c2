"""backup and restore: a copy of the store, and the way back, while everybody goes on."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from khive_supervisor.cli.output import as_json_option, emit
from khive_supervisor.cli.session import config_option, loaded
from khive_supervisor.store import open_store


@click.command()
@click.argument("file", type=click.Path())
@config_option
@as_json_option
def backup(file: str, config_file: str | None, as_json: bool) -> None:
    """Copy the whole store to a new FILE; sessions go on meanwhile."""
    target = os.path.abspath(file)
    with open_store(loaded(config_file).config) as store:
        store.backup(target)
    data = {"file": target, "bytes": os.path.getsize(target)}
    emit(data, as_json, lambda d: f"Backed up to {d['file']} ({d['bytes']} bytes).")


@click.command()
@click.argument("file", type=click.Path())
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@as_json_option
def restore(file: str, yes: bool, config_file: str | None, as_json: bool) -> None:
    """Replace everything in the store by the backup FILE; what it held is backed up first.

    Sessions go on, and see the restored content in their next call.
    """
    if not yes:
        click.confirm(f"Replace everything in the store by {file}?", abort=True, err=True)
    with open_store(loaded(config_file).config) as store:
        before = f"{store.path}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
        store.backup(before)
        store.restore_backup(os.path.abspath(file))
    data: dict[str, Any] = {"restored": os.path.abspath(file), "before": before}
    emit(data, as_json, lambda d: f"Restored {d['restored']}. What was there: {d['before']}")


COMMANDS = (backup, restore)
