"""The log's file, which the supervisor alone writes: for itself, and for all of its processes."""

from __future__ import annotations

import logging
import os
import socket

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.service import LogSettings
from khive_supervisor.errors import BootFailure
from khive_supervisor.host.paths import make_private_directory

log = logs.get("khive.supervisor")


class LogFile:
    """Takes records from now to the end of the process; used only from the supervisor's loop."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings
        self._collector: logs.Collector | None = None

    def open(self) -> None:
        """Begin to write; raises BootFailure if that is impossible."""
        settings = self._settings
        try:
            make_private_directory(os.path.dirname(settings.file))
            self._collector = logs.collect_into(
                settings.file,
                level=settings.level,
                max_bytes=settings.max_bytes,
                backups=settings.backups,
            )
        except OSError as error:
            raise BootFailure(
                f"The log {settings.file} cannot be written: {error.strerror}.",
                hint="Set log.file to a path in a directory of yours.",
            ) from error

    def take(self, end: socket.socket) -> None:
        """Take over the receiving end of a process's log."""
        assert self._collector is not None
        self._collector.add(end)

    def configure(self, config: Config) -> None:
        """Write records of another level from now on."""
        logging.getLogger().setLevel(config.log.level.upper())

    def look(self) -> None:
        """Have the file made again if it is gone, and say so in it."""
        if not os.path.exists(self._settings.file):
            log.warning("log.missing", file=self._settings.file)
