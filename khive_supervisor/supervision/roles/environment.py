"""What the handlers of roles may see of: the supervisor's environment, and the login shell's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from khive_supervisor import logs
from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import BootFailure
from khive_supervisor.host import paths
from khive_supervisor.supervision.processes import login_shell

log = logs.get("khive.supervisor")


class RoleEnvironment:
    """One environment for all roles; used only from the supervisor's loop.

    Attributes:
        variables: as the supervisor was started, until `find_out` has returned.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.variables = environ
        self._own = environ
        self._login = login_shell.Login("")

    async def find_out(self, config: Config) -> None:
        """Ask the login shell; one that says nothing leaves it as the supervisor was started."""
        wanted = config.agents.login_shell
        if wanted != "off":
            shell = login_shell.shell_of_user() if wanted == "auto" else wanted
            self._login = await asyncio.to_thread(login_shell.ask, shell, paths.home())
            if self._login.problem:
                log.warning("roles.no_login_shell", problem=self._login.problem)
        said = self._login.variables if wanted != "off" else {}
        self.variables = login_shell.merged(self._own, said, config.agents.path)
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
        return {**login_shell.usual(self.variables), **asked}

    def describe(self) -> dict[str, str]:
        """Return what `status` shows."""
        path = self.variables.get("PATH", "")
        return {"path": path, "shell": self._login.shell, "problem": self._login.problem}
