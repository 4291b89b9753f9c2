"""Directories for a moment, below the system's directory for temporary files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from khive_supervisor.host import processes

#: The name says whose it is: what a killed process has left is found by that.
_NAME = re.compile(r"khive-scratch-(\d+)-")


@contextmanager
def scratch() -> Iterator[str]:
    """Make a directory, and remove it at the end, with what processes that were killed have left.

    For what takes seconds; the caller's user alone can read it.
    """
    tidy()
    with tempfile.TemporaryDirectory(prefix=f"khive-scratch-{os.getpid()}-") as directory:
        yield directory


def tidy() -> None:
    """Remove the directories of this user's processes that have ended."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as found:
        for entry in found:
            whose = _NAME.match(entry.name)
            if whose is None or processes.alive(int(whose[1])):
                continue
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    shutil.rmtree(entry.path)
