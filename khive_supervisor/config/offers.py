"""Capabilities that other distributions offer, by the entry point group `khive.capabilities`.

An entry point leads to a `Capability`, or to the path of a TOML file. It is imported in a process
of its own: code that hangs, crashes or prints reaches nobody else, and a reload sees a newer
release.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from khive_supervisor.config.capability import Capability
from khive_supervisor.text.plain_json import JsonObject

#: Entry point group for capabilities of other distributions.
ENTRY_POINTS = "khive.capabilities"
#: Seconds that the import of one may take.
DEADLINE = 10.0
#: Environment variables that an import sees; no credential of whoever started the supervisor.
KEPT = frozenset({"HOME", "PATH", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV"})
KEPT_PREFIXES = ("LC_", "PYTHON", "XDG_")

_IMPORT = f"from {__name__} import main; main()"


@dataclass(frozen=True, slots=True)
class Offer:
    """What one entry point leads to: plain data, or the path of a file, or why neither."""

    source: str
    data: JsonObject | None = None
    path: str = ""
    error: str = ""


def offers(environ: Mapping[str, str] = os.environ) -> Iterator[Offer]:
    """What the installed distributions offer, in the order of their names."""
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    for point in sorted(found, key=lambda one: (one.name, one.value)):
        who = f"{point.dist.name} {point.dist.version}" if point.dist else "a distribution"
        yield _taken(f"{who}, entry point {point.name}", point.value, environ)


def _taken(source: str, value: str, environ: Mapping[str, str]) -> Offer:
    """Return what an import in another process gives."""
    kept = {n: text for n, text in environ.items() if n in KEPT or n.startswith(KEPT_PREFIXES)}
    path = os.pathsep.join(path for path in sys.path if path)
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", _IMPORT, value],
            env={**kept, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Offer(source, error=f"{value} was not imported within {DEADLINE:g} s")
    except OSError as error:
        return Offer(source, error=f"{value} could not be imported: {error.strerror}")
    try:
        return Offer(source, **json.loads(child.stdout))
    except (ValueError, TypeError):
        return Offer(source, error=f"the import of {value} {_end(child.returncode)}")


def _end(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def _offered(value: str) -> JsonObject:
    """Return what an entry point's value leads to, in the process that is made for it."""
    try:
        found = importlib.metadata.EntryPoint("offer", value, ENTRY_POINTS).load()
        if isinstance(found, Capability):
            return {"data": found.as_dict()}
        if isinstance(found, str | os.PathLike):
            return {"path": os.path.abspath(os.fsdecode(found))}
    except Exception as error:  # noqa: BLE001 - whatever a foreign module raises is the answer
        return {"error": f"{value}: {type(error).__name__}: {error}"}
    return {"error": f"{value} is a {type(found).__name__}; allowed: a Capability, or a path"}


def main() -> None:
    """Import what the argument names and print what it is, as JSON."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what the import prints is not part of the answer
    text = json.dumps(_offered(sys.argv[1]))
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        stream.write(text)
