"""The names of variables that attach passes on, in a file beside the socket.

Attach reads no configuration; it has names of its own, and a file is there only while the
configuration names others.
"""

from __future__ import annotations

import contextlib
import os

from khive_supervisor.attach.channel import FORWARDED
from khive_supervisor.config.settings.model import Config
from khive_supervisor.host import durable


class AllowList:
    """The file of one socket."""

    def __init__(self, socket_path: str) -> None:
        self._file = socket_path + ".env"

    def configure(self, config: Config) -> None:
        """Have attach pass on these names from now on; idempotent.

        Raises:
            OSError: the file could not be written; attach goes on with the one that is there.
        """
        names = config.session.env_allow
        if tuple(names) == FORWARDED:
            self.remove()
            return
        # Whole or not at all, since an attach may read it at this moment.
        durable.write_private(self._file, "\n".join(names).encode())

    def remove(self) -> None:
        """Let attach go by its own names; idempotent."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file)
