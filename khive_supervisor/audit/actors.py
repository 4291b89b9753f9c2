"""How actors and subjects are written, so that they can be looked for."""

from __future__ import annotations

import functools
import os
import pwd

SUPERVISOR = "supervisor"
STORE = "store"
INDEX = "index"
CONFIGURATION = "configuration"


@functools.cache
def user() -> str:
    """Who runs this process: `user/ada`. Read once: it may ask a server."""
    try:
        return f"user/{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"user/{os.getuid()}"


def command(pid: int | None) -> str:
    """A command of this user's that asks the supervisor: `user/ada pid 4711`."""
    return user() if pid is None else f"{user()} pid {pid}"


def session(session_id: str, actor: str) -> str:
    """A session, or whoever has none, and who it says it is: `session/1a2b3c4d ada`."""
    who = f"session/{session_id}" if session_id else user()
    return f"{who} {actor}".rstrip()


def worker(name: str) -> str:
    """A role's worker, with its process: `worker/reviewer-1:4711`."""
    return f"worker/{name}"


def profile(name: str) -> str:
    """A profile: `profile/careful`."""
    return f"profile/{name}"


def role(name: str) -> str:
    """A role: `role/reviewer`."""
    return f"role/{name}"


def run(number: int) -> str:
    """A run of a workflow: `workflow/w12`."""
    return f"workflow/w{number}"


def schedule(number: int) -> str:
    """A schedule: `schedule/s3`."""
    return f"schedule/s{number}"


def waiting(number: int) -> str:
    """A write that waits for a team's server: `waiting/7`."""
    return f"waiting/{number}"
