"""The process that applies waiting writes: short-lived, and started when there are any.

    python -P -m khive_workers.waiting [--parent-fd N]

It says on stdout, as lines of JSON, how far it is, and ends when nothing waits any more (exit code
0), or when what waits is to be tried again later (75). It may be killed at any instant.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence

from khive_supervisor import exitcodes, logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import paths
from khive_supervisor.packs import loading
from khive_workers.common import runtime
from khive_workers.waiting.applying import CallApplier, CallerContexts


def report(applied: int, put_aside: int) -> None:
    """Say on stdout how many calls were applied and put aside."""
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps({"applied": applied, "put_aside": put_aside}) + "\n")
        sys.stdout.flush()


@contextlib.contextmanager
def _alone(store_path: str) -> Iterator[bool]:
    """Give whether no other process applies calls; one of a killed supervisor may, for a moment."""
    descriptor = os.open(store_path + ".waiting-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def run(config: Config, socket_path: str | None) -> int:
    """Apply what waits; return an exit code. Raises KhiveError."""
    with _alone(config.store.path) as alone:
        if not alone:
            return exitcodes.TEMPORARY
        contexts = CallerContexts(config, socket_path)
        try:
            applier = CallApplier(contexts, loading.load(), report)
            if applier.run():
                return exitcodes.OK
            sys.stderr.write(f"{applier.problem}\n")
            return exitcodes.TEMPORARY
        finally:
            contexts.close()


def main(argv: Sequence[str]) -> int:
    """Run the process; return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, help="end when its other end is closed")
    options = parser.parse_args(argv)
    runtime.reset_signals()
    runtime.name_process("khive-waiting")
    logs.to_stderr("warning")
    if options.parent_fd is not None:
        runtime.exit_with_parent(socket.socket(fileno=options.parent_fd))
    try:
        return run(snapshot.from_environment(), paths.env("KHIVE_SOCKET"))
    except KhiveError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
