"""The environment of the user's login shell: what roles get, whichever client came first.

A client that is started from a desktop has another PATH than a terminal's, and either may start the
supervisor. What the shell's own files say is the user's word.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from khive_supervisor.supervision.processes.environment import KEPT

#: Seconds that the shell may take; roles wait for it, nothing else does.
DEADLINE = 5.0
#: Bytes of an environment that are read.
_LARGEST = 1 << 20
#: What a shell starts with, so that nothing of a client's is in what it says.
_BARE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "dumb", "KHIVE_LOGIN_SHELL": "1"}
#: Names that stay as the supervisor has them: where its files are, and its own interpreter.
_OWN = frozenset(
    {"HOME", "USER", "LOGNAME", "PWD", "OLDPWD", "SHLVL", "TERM", "VIRTUAL_ENV", "_", *_BARE}
) - {"PATH"}  # fmt: skip
_OWN_PREFIXES = ("KHIVE_", "XDG_", "PYTHON")


@dataclass(frozen=True, slots=True)
class Login:
    """What a login shell says: its variables, or why there are none."""

    shell: str
    variables: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def shell_of_user() -> str:
    """The user's shell, as the system knows it; not a client's SHELL."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_shell or "/bin/sh"
    except KeyError:
        return "/bin/sh"


def ask(shell: str, home: str, deadline: float = DEADLINE) -> Login:
    """Have a login shell print its environment; never raises, and never takes longer.

    What its files print around that is of no matter; what they leave running in the shell's
    session ends with it.
    """
    mark = f"khive-{secrets.token_hex(8)}"
    script = f"printf '\\0%s\\0' {mark}; env -0; printf '\\0%s\\0' {mark}"
    environ = {**_BARE, "HOME": home, "SHELL": shell, **_names()}
    # A file, since a pipe would be held open by whatever is left in the background.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [shell, "-l", "-c", script],
                cwd="/",
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return Login(shell, problem=f"{shell} could not be started: {error.strerror}")
        try:
            code = process.wait(deadline)
        except subprocess.TimeoutExpired:
            return Login(shell, problem=f"{shell} took longer than {deadline:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        found = between(output.read(_LARGEST), mark)
    if not found:
        return Login(shell, problem=f"{shell} ended with {code} and did not say its environment")
    return Login(shell, found)


def between(output: bytes, mark: str) -> dict[str, str]:
    """The variables between two marks in a shell's output; none if they are not whole."""
    parts = output.split(f"\0{mark}\0".encode())
    if len(parts) != 3:
        return {}
    entries = (os.fsdecode(entry).partition("=") for entry in parts[1].split(b"\0"))
    return {name: value for name, equals, value in entries if name and equals}


def _names() -> dict[str, str]:
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return {}
    return {"USER": name, "LOGNAME": name}


def merged(
    own: Mapping[str, str], login: Mapping[str, str], first: Sequence[str]
) -> dict[str, str]:
    """The environment that roles get.

    Args:
        own: the supervisor's, which came from whoever started it; what nothing else says is its.
        login: the login shell's variables; these count, but for the supervisor's own affairs.
        first: directories that the configuration puts before all others of PATH.
    """
    said = {
        name: value
        for name, value in login.items()
        if name not in _OWN and not name.startswith(_OWN_PREFIXES)
    }
    paths = [os.path.expanduser(one) for one in first]
    for path in (login.get("PATH", ""), own.get("PATH", os.defpath)):
        paths += path.split(os.pathsep)
    absolute = dict.fromkeys(one for one in paths if os.path.isabs(one))
    return {**own, **said, "PATH": os.pathsep.join(absolute)}


def usual(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that every handler gets, of an environment that was merged."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _OWN and (name in KEPT or name.startswith("LC_"))
    }
