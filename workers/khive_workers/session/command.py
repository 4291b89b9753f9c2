"""How a session worker is started as a process of its own: by the supervisor, or to serve alone.

The zygote, which forks all others, imports nothing of this.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time

from khive_supervisor import exitcodes, logs
from khive_supervisor.access import decide, lineage
from khive_supervisor.attach.channel import shown
from khive_supervisor.config import snapshot
from khive_supervisor.config.project.alone import load_alone
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import paths
from khive_workers.common import runtime
from khive_workers.session import reserve
from khive_workers.session.coming_over import become_attach
from khive_workers.session.journal import Journal
from khive_workers.session.worker import MEMORY, serve, warm

log = logs.get("khive.session")

#: Seconds after which a session that nobody can serve looks for somebody again.
TRY_AGAIN_AFTER = 2.0


def main(argv: list[str]) -> int:
    """`python -P -m khive_workers.session --fds A,B,C,D` (request on stdin) or `--standalone`."""
    parser = argparse.ArgumentParser(prog="khive session")
    parser.add_argument("--fds", help="descriptors of the client, after a request on stdin")
    parser.add_argument("--standalone", action="store_true", help="serve on 0, 1, 2 alone")
    parser.add_argument("--config", help="configuration file, with --standalone")
    parser.add_argument("--ignored", action="append", default=[], help="what attach has ignored")
    parser.add_argument("--journal", type=int, help="the journal's descriptor, from attach")
    parser.add_argument("--inbox", type=int, help="the inbox's descriptor, from attach")
    parser.add_argument("--reserve", type=int, help="the lock of who forks for others, from attach")
    parser.add_argument("--instead-of", help="the supervisor's socket, by which others know this")
    options = parser.parse_args(argv)
    runtime.reset_signals()
    if options.standalone:
        return _serve_alone(options) if options.reserve is None else _be_reserve(options)
    request = json.load(sys.stdin)
    return serve(snapshot.from_environment(), request, [int(n) for n in options.fds.split(",")])


def _serve_alone(options: argparse.Namespace) -> int:
    logs.to_stderr("warning")
    fds = [os.dup(fd) for fd in (0, 1, 2)]
    if options.journal is not None and options.inbox is not None:
        fds += [os.dup(options.journal), os.dup(options.inbox)]
    try:
        config, request = _asked_alone(options, _name_of(os.getpid()))
    except KhiveError as error:
        sys.stderr.write(f"khive-supervisor: {shown(str(error))}\n")
        if options.journal is not None and Journal(os.dup(options.journal)).handshake:
            time.sleep(TRY_AGAIN_AFTER)  # the client has a session: until somebody can serve it
            become_attach(0, 1, _words(options))
        return error.exit_code
    if len(fds) < MEMORY:
        del request["again"]
    return serve(config, request, fds)


def _be_reserve(options: argparse.Namespace) -> int:
    """Serve this session in a child, and those of others that ask."""
    logs.to_stderr("warning")
    warm()
    own = _name_of(os.getpid())
    with contextlib.suppress(KhiveError):
        _asked_alone(options, own)  # what that imports, all have

    def serve_one(asked: argparse.Namespace, fds: list[int], name: str, ours: bool) -> int:
        try:
            config, request = _asked_alone(asked, own if ours else name)
        except KhiveError as error:
            sys.stderr.write(f"khive-supervisor: {shown(str(error))}\n")
            if ours:
                time.sleep(TRY_AGAIN_AFTER)
            return error.exit_code  # attach serves itself, or asks again
        return serve(config, {**request, "acks": True, "reserved": not ours}, fds)

    code = reserve.run(options, serve_one)
    if code is None:
        become_attach(0, 1, _words(options))
    return code or exitcodes.OK


def _name_of(pid: int) -> str:
    """Return the name of a session whose process that is; empty if nothing is known of it."""
    return lineage.session_name(pid) or ""


def _words(options: argparse.Namespace) -> list[str]:
    words = [word for one in options.ignored for word in ("--ignored", one)]
    return words + (["--config", options.config] if options.config else [])


def _asked_alone(options: argparse.Namespace, name: str) -> tuple[Config, SessionRequest]:
    """Return the configuration, and the request, of a session that no supervisor asks for.

    Raises:
        KhiveError: the configuration is not valid.
    """
    cwd = paths.working_directory()
    left_out = [(name, value) for name, _, value in (w.partition("=") for w in options.ignored)]
    config, terms = load_alone(options.config, cwd, left_out)
    for one in terms.ignored:
        log.warning("session.ignored", **one.as_dict())
    environment = {n: v for n in config.session.env_allow if (v := os.environ.get(n))}
    return config, {
        "kind": "attach",
        "cwd": cwd,
        "env": environment,
        "settings": terms.settings,
        "project": terms.project,
        "identity": terms.identity.as_dict() if terms.identity is not None else None,
        "session": name,
        "grant": decide.alone(config, "attach", cwd, os.environ).as_dict(),
        "again": _words(options),
        "config_file": options.config,
    }
