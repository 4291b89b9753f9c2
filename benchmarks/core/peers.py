"""The servers that khive is measured against: how they are had, and how they are started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.installation import clean_environment
from benchmarks.core.prepare import Prepared
from benchmarks.core.report import say
from benchmarks.core.session import Server

#: The reference memory server of the protocol's authors.
PACKAGE = "@modelcontextprotocol/server-memory"
_ENTRY = "node_modules/@modelcontextprotocol/server-memory/dist/index.js"


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers; `node` is None where it cannot be had, and `why` says why."""

    plain: Server
    node: Server | None
    why: str


def peers(work: Path, prepared: Prepared) -> Peers:
    """Both peers, with scratch directories of their own."""
    home = work / "peers"
    home.mkdir(exist_ok=True)
    node, why = _node(work / "node", home)
    return Peers(_plain(prepared, home), node, why)


def _plain(prepared: Prepared, home: Path) -> Server:
    script = Path(__file__).with_name("plain_server.py")
    return Server(
        name="plain server",
        command=(
            *(sys.executable, "-P", str(script)),
            *("--store", str(prepared.store), "--index", str(prepared.index)),
        ),
        environment=clean_environment(home),
        directory=home,
        search_tool="search",
        search_arguments={"limit": 10},
    )


def _node(place: Path, home: Path) -> tuple[Server | None, str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None, "not measured: no node"
    if not (place / _ENTRY).exists() and (why := _install(npm, place)):
        return None, why
    server = Server(
        name="server-memory",
        command=(node, str(place / _ENTRY)),
        environment={**clean_environment(home), "MEMORY_FILE_PATH": str(home / "memory.jsonl")},
        directory=home,
        search_tool="search_nodes",
        search_arguments={},
    )
    return server, ""


def _install(npm: str, place: Path) -> str:
    """Install the package below the scratch directory; why not, if it cannot be had."""
    say(f"installing {PACKAGE} below {place}")
    place.mkdir(parents=True, exist_ok=True)
    options = ("--no-audit", "--no-fund", "--no-update-notifier", "--cache", str(place / "cache"))
    done = subprocess.run(
        [npm, "install", "--silent", *options, "--prefix", str(place), PACKAGE],
        env=dict(os.environ),
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"not measured: npm failed ({done.stderr.strip()[-200:]})" if done.returncode else ""
