"""The notifier as a child: there while channels are configured, and given their secrets alone."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field

from khive_supervisor.channels.addresses import variables_of
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.channels import DESKTOP, Channel
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.states import ProcessState

#: What a desktop is reached by.
_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY")


@dataclass(slots=True, eq=False)
class NotifierChild(Child):
    """Runs the notifier; used only from the supervisor's loop.

    Attributes:
        environ: the supervisor's own environment, which channels may name variables of.
        told: the channels that it is started for.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    told: tuple[Channel, ...] = ()
    _own: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config, variables: Mapping[str, str]) -> NotifierChild:
        """Return one for a configuration; `variables` are those of all children."""
        own: dict[str, str] = {}
        found = cls(
            "notifier",
            "khive_workers.notifier",
            RestartPolicy.of(config),
            environment=ChainMap(own, variables),  # type: ignore[arg-type]  # only read
            _own=own,
        )
        found._go_by(config)
        return found

    @property
    def wanted(self) -> bool:
        """Return True if anybody is to be told anything."""
        return bool(self.told)

    def configure(self, config: Config) -> None:
        """Tell other channels from now on; what is on its way goes on.

        Raises:
            ConfigError: the configuration is too long for a variable; nothing was changed.
        """
        Child.configure(self, config)
        before = self.told
        self._go_by(config)
        if self.told != before:
            Child.stop(self)  # `look` starts another one, if there is anything to tell

    def look(self) -> None:
        """Have one run exactly while there is anything to tell; see whether it answers."""
        if self.wanted and self.state is ProcessState.STOPPED:
            self.start()
        Child.look(self)

    def _go_by(self, config: Config) -> None:
        text = snapshot.dumps(config, private=True)
        names = {name for channel in config.channels for name in variables_of(channel)}
        if any(channel.kind == DESKTOP for channel in config.channels):
            names |= set(_DESKTOP)
        self._own.clear()
        self._own.update({name: self.environ[name] for name in names if name in self.environ})
        self._own[snapshot.VARIABLE] = text
        self.told = config.channels
