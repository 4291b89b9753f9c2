"""What the handlers of roles may see of: the supervisor's environment, and the login shell's.

A client that is started from a desktop has another PATH than a terminal's, and either may start the
supervisor. What the shell's own files say is the user's word.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from khive_supervisor import logs
from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import BootFailure
from khive_supervisor.host import paths
from khive_supervisor.supervision.processes.environment import KEPT

log = logs.get("khive.supervisor")

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


class RoleEnvironment:
    """One environment for all roles; used only from the supervisor's loop.

    Attributes:
        variables: as the supervisor was started, until `find_out` has returned.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.variables = environ
        self._own = environ
        self._login = Login("")

    async def find_out(self, config: Config) -> None:
        """Ask the login shell; one that says nothing leaves it as the supervisor was started."""
        wanted = config.agents.login_shell
        if wanted != "off":
            shell = shell_of_user() if wanted == "auto" else wanted
            self._login = await asyncio.to_thread(ask, shell, paths.home())
            if self._login.problem:
                log.warning("roles.no_login_shell", problem=self._login.problem)
        said = self._login.variables if wanted != "off" else {}
        self.variables = merged(self._own, said, config.agents.path)
        for problem in check_handlers(config, self.variables):
            log.warning("role.cannot_work", role=problem.role, problem=str(problem))

    def of(self, role: Role) -> dict[str, str]:
        """Return what a role's handler sees, in the place of what its worker starts with.

        Raises:
            BootFailure: a variable is missing that it cannot do without.
        """
        lacking = [name for name in role.env_require if name not in self.variables]
        if lacking:
            raise BootFailure(
                f"The role {role.role} requires {', '.join(lacking)} in the environment.",
                hint="Start the supervisor with it, or take it out of env_require.",
            )
        asked = {name: self.variables[name] for name in role.variables if name in self.variables}
        return {**usual(self.variables), **asked}

    def describe(self) -> dict[str, str]:
        """Return what `status` shows."""
        path = self.variables.get("PATH", "")
        return {"path": path, "shell": self._login.shell, "problem": self._login.problem}
