"""A line of the log as people read it."""

from __future__ import annotations

import json

from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown


def log_text(line: str) -> str:
    """Return a record of the log as one line; what is no record stays as it is, on one line."""
    try:
        data = json.loads(line)
    except ValueError:
        return one_line(line)
    if not isinstance(data, dict):
        return one_line(line)
    head = [one_line(data.pop(k, "-")) for k in ("ts", "level", "process", "pid", "event")]
    data.pop("logger", None)
    rest = " ".join(f"{one_line(k)}={one_line(v)}" for k, v in data.items())
    return f"{shown(head[0])} {head[1]:7} {head[2]}[{head[3]}] {head[4]} {rest}".rstrip()
