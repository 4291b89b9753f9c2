"""`doctor`: look at everything that can be wrong, and say what to do; it changes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.finding import holder_of, socket_of
from khive_supervisor.cli.connection.permission import not_confined
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.connection.trust import ignored
from khive_supervisor.cli.doctor import checks, service
from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.cli.doctor.confinement import check_confinement
from khive_supervisor.cli.doctor.hooks import check_hooks
from khive_supervisor.cli.doctor.prices import check_prices
from khive_supervisor.cli.doctor.project import check_project
from khive_supervisor.cli.doctor.team import check_team
from khive_supervisor.cli.render import output
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.errors import ConfigError
from khive_supervisor.host import paths
from khive_supervisor.supervision.systemd import unit

Plan = Iterator[tuple[str, Callable[[], Iterable[Check]]]]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--deep", is_flag=True, help="Read the whole store and look for damage.")
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write a new ZIP for whoever helps: no contents, no secrets.",
)
@click.option("--systemd-unit", is_flag=True, help="Print a user unit for systemd instead.")
@common_options
def doctor(run: Invocation, deep: bool, bundle: str | None, systemd_unit: bool) -> None:
    """Check the installation, the store, the supervisor and the clients; change nothing.

    Exit code 0 without a failure (warnings are none), 9 with one.
    """
    if systemd_unit:
        click.echo(unit(sys.executable), nl=False)
        return
    if bundle is not None:
        not_confined(run.config_file, "doctor --bundle")
    plan = [*_installation(), *_configured(run.config_file, deep)]
    results: list[Check] = []
    with output.progress("Checking", len(plan)) as advance:
        for name, check in plan:
            results += checks.run(name, check)
            advance(1)
    data = [dataclasses.asdict(result) for result in results]
    if bundle is not None:
        _bundled(bundle, run.config_file, data)
    run.emit(data, _render)
    if any(result.status == "fail" for result in results):
        sys.exit(exitcodes.UNHEALTHY)


def _bundled(file: str, config_file: str | None, data: Sequence[Mapping[str, str]]) -> None:
    from khive_supervisor.cli.doctor.bundle import write_bundle  # zipfile is loaded for this alone

    write_bundle(file, config_file, data)
    output.note(f"{file} is written. Look at it before you send it; README.txt says what is in it.")


def _installation() -> Plan:
    yield "python", checks.check_python
    yield "path", checks.check_path
    yield "sqlite", checks.check_sqlite
    yield "annoy", checks.check_annoy
    yield "open files", checks.check_open_files
    yield "inotify", checks.check_inotify


def _configured(config_file: str | None, deep: bool) -> Plan:
    """The checks that need a valid configuration; without one, why it is not valid."""
    cwd = paths.working_directory()
    try:
        found = loaded(config_file)
    except ConfigError as error:
        yield "configuration", functools.partial(_invalid, error)
    else:
        yield from _of(found, deep, socket_of(config_file))
        where = functools.partial(service.check_directories, found, socket_of(config_file))
        yield "directories", where
        yield "project", functools.partial(check_project, found, cwd, ignored(config_file))
        yield "sessions", functools.partial(check_confinement, found, cwd, os.environ)
    path = socket_of(config_file)
    yield "socket", functools.partial(service.check_socket, path)
    yield "supervisor", functools.partial(service.check_supervisor, path, holder_of(config_file))
    yield "http", functools.partial(service.check_http, path)
    yield "clients", functools.partial(service.check_clients, cwd, os.environ)
    yield "hooks", functools.partial(check_hooks, cwd, os.environ)


def _of(found: LoadedConfig, deep: bool, path: str) -> Plan:
    config = found.config
    yield "configuration", functools.partial(service.check_configuration, found)
    if config.embedder.kind == "minilm":
        yield "model files", checks.check_model_files
        yield "model", checks.check_model_runs
    yield "embedder", functools.partial(service.check_embedder, config.embedder, os.environ)
    yield "roles", functools.partial(service.check_roles, found, os.environ, path)
    yield (
        "prices",
        functools.partial(check_prices, config, dt.datetime.now(dt.UTC).astimezone().date()),
    )
    yield "capabilities", functools.partial(service.check_capabilities, config)
    yield "store place", functools.partial(service.check_place, config)
    yield "store", functools.partial(service.check_store, config, deep)
    yield "team", functools.partial(check_team, config, path)
    yield "log", functools.partial(service.check_log, config)


def _invalid(error: ConfigError) -> Iterable[Check]:
    for problem in error.problems:
        yield Check("configuration", "fail", problem, fix=error.hint)


def _render(results: Sequence[Mapping[str, str]]) -> str:
    width = max(len(result["name"]) for result in results)
    lines = [line for result in results for line in _lines(result, width)]
    counts = {status: sum(r["status"] == status for r in results) for status in _COLOURS}
    lines.append("")
    warnings = output.counted(counts["warn"], "warning")
    lines.append(f"{counts['ok']} ok, {warnings}, {output.counted(counts['fail'], 'failure')}.")
    return "\n".join(lines)


def _lines(result: Mapping[str, str], width: int) -> Iterator[str]:
    mark = output.style(f"{result['status']:4}", _COLOURS[result["status"]])
    yield f"{mark}  {result['name']:{width}}  {result['what']}"
    indent = " " * (width + 8)
    if result["why"]:
        yield indent + result["why"]
    if result["fix"] and result["status"] != "ok":
        first, *more = result["fix"].splitlines()
        yield f"{indent}-> {first}"
        yield from (f"{indent}   {line}" for line in more)


COMMANDS = (doctor,)
