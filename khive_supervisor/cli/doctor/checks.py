"""What a check of `doctor` is, and the checks of this machine and this installation.

Every check looks and changes nothing. It answers with one or more results; it may raise what it
meets, and `run` makes a result of that.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from khive_supervisor import __version__
from khive_supervisor.cli.clients.clients import PROGRAM
from khive_supervisor.embed.bundled import MODEL_DIRECTORY
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.schema import guards

Status = Literal["ok", "warn", "fail"]

#: Seconds that a child process of a check may take, on a slow and busy machine.
CHILD_DEADLINE = 60.0
#: Open files that a supervisor with a hundred sessions needs: a few for each, and room.
OPEN_FILES_WANTED = 1024
#: inotify instances that should be free: the supervisor takes one or two.
INOTIFY_FREE_WANTED = 4

#: Builds and asks a small index: every instruction that serving one needs.
_TRY_ANNOY = """
from annoy import AnnoyIndex
index = AnnoyIndex(384, "dot")
for item in range(64):
    index.add_item(item, [float((item * position) % 7) for position in range(384)])
index.set_seed(1)
index.build(4, 1)
assert len(index.get_nns_by_vector([1.0] * 384, 5)) == 5
"""
_TRY_MODEL = """
from khive_supervisor.embed.minilm import MiniLM
model = MiniLM()
assert model.embed(["a text"]).shape == (1, model.dimensions)
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One result: what was looked at, how it is, why, and what to do about it."""

    name: str
    status: Status
    what: str
    why: str = ""
    fix: str = ""


def run(name: str, check: Callable[[], Iterable[Check]]) -> list[Check]:
    """The results of a check; what it raises is a result, too."""
    try:
        return list(check())
    except KhiveError as error:
        return [Check(name, "fail", error.message, fix=error.hint)]
    except Exception as error:  # noqa: BLE001 - doctor's top: one broken check must not hide others
        return [Check(name, "fail", "The check itself failed", f"{type(error).__name__}: {error}")]


def check_python() -> Iterable[Check]:
    """The interpreter."""
    found = f"Python {platform.python_version()} at {sys.executable}, {PROGRAM} {__version__}"
    yield Check("python", "ok", found)


def check_sqlite() -> Iterable[Check]:
    """The SQLite library inside apsw."""
    import apsw

    version = apsw.sqlite_lib_version()
    guards.check_library(version)
    found = f"SQLite {version} in apsw {apsw.apsw_version()}"
    if "ENABLE_FTS5" in apsw.compile_options:
        yield Check("sqlite", "ok", f"{found}, with full-text search")
        return
    fix = "Install the published wheel: pip install --force-reinstall --only-binary :all: apsw"
    yield Check("sqlite", "fail", found, "It is built without FTS5 (full-text search).", fix)


def check_annoy() -> Iterable[Check]:
    """The index library, in a child: it is compiled for the CPU of where it was installed."""
    fix = "Build it again here: pip install --force-reinstall --no-cache-dir --no-deps annoy"
    yield from _in_child("annoy", "The index library works on this CPU", _TRY_ANNOY, fix)


def check_model_runs() -> Iterable[Check]:
    """The bundled model and what runs it, in a child for the same reason."""
    fix = "Install again: pip install --force-reinstall onnxruntime khive-supervisor"
    yield from _in_child("model", "The bundled embedding model runs", _TRY_MODEL, fix)


def _in_child(name: str, what: str, code: str, fix: str) -> Iterable[Check]:
    path = os.pathsep.join(path for path in sys.path if path)
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", code],
            # onnxruntime 1.29 and later report to their maker unless this is set before the import.
            env={**os.environ, "PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHILD_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Check(name, "fail", f"Not so: {what}", f"No end after {CHILD_DEADLINE:g} s.", fix)
        return
    if child.returncode == 0:
        yield Check(name, "ok", what)
    else:
        yield Check(name, "fail", f"Not so: {what}", _ended(child.returncode, child.stderr), fix)


def _ended(code: int, stderr: bytes) -> str:
    if code == -signal.SIGILL:
        return "Killed by SIGILL: it was compiled for another CPU than this machine's."
    if code < 0:
        return f"Killed by {signal.Signals(-code).name}."
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"Exit code {code}."


def check_model_files(directory: Path = MODEL_DIRECTORY) -> Iterable[Check]:
    """The bundled model's files against their recorded checksums."""
    about = json.loads((directory / "MODEL.json").read_text(encoding="utf-8"))
    fix = f"Install again: pip install --force-reinstall --no-deps {PROGRAM}"
    for part in ("graph", "vocabulary"):
        file = directory / about[part]["file"]
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != about[part]["sha256"]:
            yield Check("model files", "fail", f"{file} is damaged", "Its checksum differs.", fix)
            return
    yield Check("model files", "ok", f"Complete: {about['model_id']}")


def check_path() -> Iterable[Check]:
    """Check that people and clients find the program by its name."""
    found = shutil.which(PROGRAM)
    if found:
        yield Check("path", "ok", f"{PROGRAM} is {found}")
        return
    why = "Clients that were connected with `connect` have its full path and do not mind."
    fix = f"Add {os.path.dirname(sys.executable)} to PATH, or link {PROGRAM} from there."
    yield Check("path", "warn", f"{PROGRAM} is not on PATH", why, fix)


def check_open_files() -> Iterable[Check]:
    """How many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    shown = "no limit" if soft == unlimited else str(soft)
    if soft == unlimited or soft >= OPEN_FILES_WANTED:
        yield Check("open files", "ok", f"Limit: {shown}")
        return
    why = f"With many sessions the supervisor needs about {OPEN_FILES_WANTED}."
    can = hard == unlimited or hard >= OPEN_FILES_WANTED
    fix = f"Run `ulimit -n {OPEN_FILES_WANTED}` before `start`" if can else "Ask for a higher limit"
    yield Check("open files", "warn", f"Limit: {shown}", why, f"{fix}.")


def check_inotify(
    limits: str = "/proc/sys/fs/inotify", processes: str = "/proc"
) -> Iterable[Check]:
    """How many inotify instances this user has left; editors and containers share them."""
    try:
        limit = int(Path(limits, "max_user_instances").read_text(encoding="ascii"))
    except OSError:
        return  # not Linux
    used = _inotify_instances(processes)
    found = f"{used} of {limit} instances of this user are in use"
    if limit - used >= INOTIFY_FREE_WANTED:
        yield Check("inotify", "ok", found)
        return
    why = "Without one, changes are found by looking from time to time instead of at once."
    fix = "sudo sysctl fs.inotify.max_user_instances=512"
    yield Check("inotify", "warn", found, why, fix)


def _inotify_instances(processes: str) -> int:
    """Descriptors of inotify in those processes of this user that can be looked into."""
    with os.scandir(processes) as entries:
        ids = [entry.name for entry in entries if entry.name.isdigit()]
    return sum(_instances_of(f"{processes}/{pid}") for pid in ids)


def _instances_of(process: str) -> int:
    try:
        if os.stat(process).st_uid != os.getuid():
            return 0
        links = [os.readlink(f"{process}/fd/{name}") for name in os.listdir(f"{process}/fd")]
    except OSError:
        return 0  # it ended, or is not ours to look into
    return links.count("anon_inode:inotify")
