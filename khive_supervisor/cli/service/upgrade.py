"""upgrade: have the release of this command take over from the supervisor that runs."""

from __future__ import annotations

import os
import sys
from typing import cast

import click

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli.connection.finding import control, holder_of, status_of
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.connection.starting import start_in_background
from khive_supervisor.cli.connection.waiting import Wait
from khive_supervisor.cli.render.answers import HandoverShown
from khive_supervisor.cli.service.replacing import ANOTHER, is_of_this_environment, replace
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError, NotRunning, Unresponsive, VersionMismatch
from khive_supervisor.text.plain_json import JsonObject

#: Seconds from a hand-over's beginning until the new release answers: roles let go, a store is
#: copied and migrated.
TAKEN_OVER_WITHIN = 300.0


@click.command()
@click.option("--check", is_flag=True, help="Only try whether it could take over.")
@click.option("--in-place", is_flag=True, hidden=True, help="Only from this environment's.")
@common_options
def upgrade(run: Invocation, check: bool, in_place: bool) -> None:
    """Have this command's release take over from the supervisor that runs.

    A newer release that is installed in place takes over by itself (see supervisor.upgrade); this
    does it at once, also for an older one and for one of another environment. Exit code 1 if it
    cannot take over: what runs goes on.
    """
    if not _is_running(run.config_file):
        if check:
            raise NotRunning("No supervisor is running: nothing has to be handed over.")
        start_in_background(run.config_file, deliberate=True)
        answer = HandoverShown(state="started", running=None, release=__version__, problems=[])
    else:
        answer = _hand_over(run.config_file, check=check, in_place=in_place)
    run.emit(answer, _text)
    sys.exit(exitcodes.FAILURE if answer["state"] == "refused" else exitcodes.OK)


def _is_running(config_file: str | None) -> bool:
    """Return whether there is one, also with a configuration that is not valid any more."""
    try:
        control(config_file).close()
    except NotRunning:
        return False
    except VersionMismatch:
        return True
    return True


def _hand_over(config_file: str | None, *, check: bool, in_place: bool) -> HandoverShown:
    status: JsonObject | None = None
    try:
        with control(config_file) as client:
            told = status_of(client)
            if in_place and not is_of_this_environment(told):
                raise VersionMismatch(ANOTHER.format(**told), hint=HINT)
            if "upgrade" in told:
                return _asked(config_file, client, told, check=check)
        status = told
    except VersionMismatch:
        if in_place:
            raise
        # It is of another protocol: a signal means the same in all of them.
    return replace(config_file, status, check=check)


#: What to do about a supervisor of another environment.
HINT = "`khive-supervisor upgrade` hands over to this release."


def _asked(
    config_file: str | None, client: ControlClient, status: JsonObject, *, check: bool
) -> HandoverShown:
    """Ask a supervisor that knows how, and wait until the other release answers."""
    path = os.environ.get("PYTHONPATH")
    args = {"check": check, "executable": sys.executable}
    args |= {"environment": {"PYTHONPATH": path}} if path else {}
    answer = client.request("upgrade", args)
    if answer["state"] == "handing over":
        _wait_for(config_file, str(answer["release"]))
        answer["state"] = "done"
    return cast("HandoverShown", {"problems": [], "pid": status["pid"], **answer})


def _wait_for(config_file: str | None, release: str) -> None:
    wait = Wait(TAKEN_OVER_WITHIN)
    while True:
        try:
            with control(config_file) as client:
                if client.request("status")["version"] == release:
                    return
        except KhiveError as error:
            if holder_of(config_file) is None:
                raise NotRunning(
                    f"The supervisor has ended while {release} took over: {error.message}",
                    hint="`khive-supervisor logs` says why; the next command starts one.",
                ) from error
        if not wait.goes_on(f"Waiting for {release} to take over."):
            raise Unresponsive(
                f"{release} has not taken over within {TAKEN_OVER_WITHIN:g} s.",
                hint="`khive-supervisor logs` says what it waits for.",
            )


def _text(answer: HandoverShown) -> str:
    running, release = answer["running"], answer["release"]
    match answer["state"]:
        case "current":
            return f"{running} runs, and is the release of this command."
        case "started":
            return f"{release} was started; no supervisor was running."
        case "ready":
            return f"{running} runs; {release} can take over."
        case "refused":
            reasons = "\n".join(f"  - {problem}" for problem in answer["problems"])
            return f"{release or 'This release'} cannot take over; {running} goes on:\n{reasons}"
    return f"{release} has taken over from {running} (pid {answer['pid']})."


COMMANDS = (upgrade,)
