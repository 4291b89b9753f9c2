"""One thing done with a team's server by a process of its own, which alone speaks with it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections import ChainMap
from collections.abc import Callable, Mapping

from khive_supervisor import errors
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import (
    ConfigError,
    Denied,
    InvalidInput,
    KhiveError,
    NotFound,
    StoreUnavailable,
)
from khive_supervisor.host.paths import make_private_directory
from khive_supervisor.team.moves import Moved, MoveStep, parse

MODULE = "khive_workers.replicator"
#: Seconds that an errand may take: gigabytes are copied, sent and read back.
_DEADLINE = 3600.0


class ErrandFailed(StoreUnavailable):
    """The server cannot be asked, or refused; the message says why."""


def environment_for(config: Config, variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the replicator gets beside what every child does: the password, if it is ours."""
    if not config.password:
        return variables
    return ChainMap({"PGPASSWORD": config.password}, dict(variables))


def check_driver() -> None:
    """Refuse to go on without the driver; raises ConfigError."""
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            ["store.url names a PostgreSQL server, and its driver is not installed"],
            hint="pip install 'khive-supervisor[postgres]', and start again.",
        )


def untold(step: MoveStep) -> None:
    """Tell nobody of a step."""


def run(
    config: Config,
    what: str,
    *,
    file: str = "",
    tell: Callable[[MoveStep], None] = untold,
    variables: Mapping[str, str] | None = None,
) -> Moved:
    """Do one thing, and return what came of it.

    Args:
        config: names the server, and where this machine's replica is.
        what: a name of `khive_workers.team.errands`.
        file: what else it is about.
        tell: is told of each step.
        variables: the environment of a child; None: this process's own.

    Raises:
        ConfigError: the driver is not installed.
        InvalidInput, NotFound, Denied: it is about what is not there, or not for this user.
        ErrandFailed: it could not be done.
    """
    check_driver()
    make_private_directory(os.path.dirname(config.store.path))
    given = os.environ if variables is None else variables
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE, "--do", what, "--file", file],
        env={**environment_for(config, given), snapshot.VARIABLE: snapshot.dumps(config)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = threading.Timer(_DEADLINE, process.kill)
    end.start()
    try:
        return _follow(process, tell)
    finally:
        end.cancel()
        process.kill()
        process.wait()


def _follow(process: subprocess.Popen[str], tell: Callable[[MoveStep], None]) -> Moved:
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as lines, process.stderr as errors:
        for line in lines:
            said = parse(line)
            if not isinstance(said, MoveStep):
                return said
            tell(said)
        raise _failure(errors.read(), process.wait())


def _failure(text: str, code: int) -> KhiveError:
    """Return what an errand that has failed said of it, on its last line."""
    last = text.strip().rpartition("\n")[2]
    try:
        said = json.loads(last)
        found = errors.from_dict(said)
        if isinstance(found, InvalidInput | NotFound | Denied):  # trying again is of no use
            return found
        return ErrandFailed(str(said["message"]), hint=str(said["hint"]))
    except (ValueError, TypeError, KeyError):
        return ErrandFailed(
            f"The process that speaks with the server ended with {code}: {last[:300] or 'silent'}",
            hint="Repeat it; if that happens again, report it.",
        )
