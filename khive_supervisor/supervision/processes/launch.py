"""Starting a process of this project as a fresh interpreter: the one way for all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO

#: Libraries that start a thread per core unless told: one thread each, we have many processes.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
#: A stream of a process that nobody reads.
NOWHERE = subprocess.DEVNULL
#: One whose other end is `process.stdout` or `process.stderr`.
PIPE = subprocess.PIPE


def launch(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    descriptors: Iterable[int],
    *,
    stdin: int | IO[bytes] = NOWHERE,
    stdout: int = NOWHERE,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    """Return a process that runs a module, and leads a session of its own.

    Raises:
        OSError: no process or descriptor is to be had.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(descriptors),
        start_new_session=True,
        cwd="/",  # the one that the supervisor was started in may go away
        env={**SINGLE_THREADED, **environment},
    )
