"""Trying a release before it takes over: in a fresh interpreter, which it cannot do any harm.

    python -P -m khive_supervisor.supervision.probe [--config FILE] [--store PATH]

Prints one JSON object: `release`, `protocol`, `schema`, `package` (where it lies), `prefix` (its
environment), and `problems`, empty if it can take over. The supervisor that asks is of an earlier
release (or a later one): this form is kept.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import pkgutil
import sys
from collections.abc import Iterator
from importlib import metadata

import apsw

import khive_supervisor
from khive_supervisor.config.load import load
from khive_supervisor.control import protocol
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.engine import upgrading
from khive_supervisor.sqlite.schema import guards, migrations

#: What runs: all of it is imported.
PACKAGES = ("khive_supervisor", "khive_workers")
#: Modules that do something when they are imported.
_ENTRIES = ("__main__",)
#: What only extras bring: a module that needs one of these may be out of use in an environment.
EXTRAS = ("apprise", "psycopg", "pypdf")


def main(argv: list[str]) -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="khive probe")
    parser.add_argument("--config", help="the configuration file in force")
    parser.add_argument("--store", help="the store that it would open")
    options = parser.parse_args(argv)
    problems = [*imported(), *installed(), *configured(options.config)]
    if options.store:
        problems += opened(options.store)
    about = {
        "release": khive_supervisor.__version__,
        "protocol": protocol.PROTOCOL,
        "schema": migrations.NEWEST,
        "package": os.path.dirname(os.path.realpath(khive_supervisor.__file__)),
        "prefix": sys.prefix,
        "problems": problems,
    }
    sys.stdout.write(json.dumps(about) + "\n")
    return 0


def imported() -> Iterator[str]:
    """Import every module; what cannot be imported."""
    for name in PACKAGES:
        try:
            package = importlib.import_module(name)
            for module in pkgutil.walk_packages(package.__path__, name + "."):
                if module.name.rpartition(".")[2] not in _ENTRIES:
                    _import(module.name)
        except Exception as error:  # noqa: BLE001 - a half-installed package fails in any way
            yield f"{name} cannot be imported: {type(error).__name__}: {error}"


def _import(name: str) -> None:
    """Import a module, unless it is for an extra that this environment does not have."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise


def installed() -> Iterator[str]:
    """Compare what lies there with the installer's list, if an installer put it there."""
    try:
        found = metadata.distribution("khive-supervisor")
    except metadata.PackageNotFoundError:
        return  # a source tree
    package = os.path.dirname(os.path.realpath(khive_supervisor.__file__))
    if os.path.realpath(str(found.locate_file("khive_supervisor"))) != package:
        return  # a source tree again, or an editable installation
    if found.version != khive_supervisor.__version__:
        yield f"the files are of {khive_supervisor.__version__}, their list of {found.version}"
    for file in found.files or ():
        lies = str(found.locate_file(file))
        if file.size is not None and not (
            os.path.isfile(lies) and os.path.getsize(lies) == file.size
        ):
            yield f"{file} is missing or not whole"
            return


def configured(file: str | None) -> Iterator[str]:
    """Read the configuration; what is wrong with it for this release."""
    try:
        config = load(file, "/", os.environ).config
    except KhiveError as error:
        yield str(error)
        return
    if config.store.url and importlib.util.find_spec("psycopg") is None:
        yield "store.url needs `pip install 'khive-supervisor[postgres]'` in this environment"


def opened(path: str) -> Iterator[str]:
    """Look whether the store would be opened, and whether there is room for its backup."""
    try:
        guards.check_file(path, migrations.NEWEST)
        if problem := upgrading.room(path):
            yield problem
    except (KhiveError, apsw.Error) as error:
        yield str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
