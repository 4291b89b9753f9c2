"""What a role that names a capability is filled in with."""

from __future__ import annotations

from khive_supervisor.config.capability import BUILT_IN, Capabilities, Package
from khive_supervisor.config.read_roles import Filling
from khive_supervisor.config.settings.handler import Handler
from khive_supervisor.config.settings.service import AgentSettings


class Enabler:
    """Finds capabilities by name; nothing is looked for before the first one is asked for."""

    def __init__(self, settings: AgentSettings, command_origin: str) -> None:
        self._settings = settings
        self._command_origin = command_origin
        self._found: Capabilities | None = None

    @property
    def broken(self) -> tuple[str, ...]:
        """Return what is wrong with packages, as far as they were looked at."""
        return self._found.problems if self._found else ()

    def __call__(self, name: str) -> Filling | str:
        """Return what a capability gives a role, or why it gives nothing."""
        if self._found is None:
            # Imported here: most configurations name none, and every command reads one.
            from khive_supervisor.config.all_capabilities import all_capabilities

            self._found = all_capabilities(self._settings.capabilities)
        package = self._found.packages.get(name)
        return self._found.why_not(name) if package is None else self._of(package)

    def _of(self, package: Package) -> Filling:
        capability = package.capability
        origins = {
            key: f"capability {capability.id}, {_place(package, key)}" for key in package.origins
        }
        origins["handler.agent"] = f"agents.command, {self._command_origin}"
        values = {**capability.for_role(), "handler": Handler(agent=self._settings.command)}
        return Filling(values, origins, capability.too_many)


def _place(package: Package, key: str) -> str:
    """Return the file and line for people who can change it."""
    return package.source if package.source == BUILT_IN else package.origins[key]
