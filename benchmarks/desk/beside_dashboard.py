"""The page beside mcp-memory-service's dashboard: how soon the first view's data is there.

The same Chromium opens both in turns, with the same entries in both stores. The dashboard's scripts
of other hosts are not to be had and fail at once, which is to its favour. Its vectors come from a
server of ours on the loopback (any will do for a page), so that it loads no model.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.installation import clean_environment
from benchmarks.core.processes import wait_until
from benchmarks.core.report import Row, Sample, ratio, say
from benchmarks.core.venvs import venv, version_of
from benchmarks.desk.fleet import entry, filled
from benchmarks.desk.reader import PageReader

PACKAGE, BROWSER = "mcp-memory-service", "playwright"
#: Entries of both stores, and with --quick; pages of each kind.
ENTRIES, QUICK_ENTRIES, ROUNDS = 5_000, 500, 30
#: How much sooner.
SOONER = 3.0
#: Dimensions of its vectors, and seconds in which its store is filled and it answers.
_DIMENSIONS, _PATIENCE = 384, 1800.0
_HERE = Path(__file__).parent


def measure(context: Context) -> list[Row]:
    """The rows of both, cold and warm."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    python, why = _environment(context.work / "dashboard")
    if chromium is None or python is None:
        return [_unmeasured(why or "not measured: no Chromium")]
    count = QUICK_ENTRIES if context.quick else ENTRIES
    with ExitStack() as stack:
        khive = stack.enter_context(filled(context, count))
        reader = stack.enter_context(PageReader(khive))
        peer = stack.enter_context(_dashboard(context.work / "dashboard", python, count))
        pages = [*_ours(reader), _page("dashboard", peer, "#recentMemoriesList .memory-card")]
        asked = {"chromium": chromium, "rounds": context.times(ROUNDS), "pages": pages}
        say("opening pages")
        done = subprocess.run(
            [str(python), "-P", str(_HERE / "browse.py")],
            input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    whose = f"{PACKAGE} {version_of(python, PACKAGE)}, {count:,} entries"
    return [_compared(found, kind, whose) for kind in ("cold", "warm")]


def _environment(place: Path) -> tuple[Path | None, str]:
    """An interpreter with the peer and the browser's driver, apart from ours."""
    system = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    able = [one for one in (sys.executable, system) if one and _loads_extensions(one)]
    if not able:
        return None, "not measured: no Python here loads SQLite's extensions, which it needs"
    return venv(place, f"{PACKAGE} {BROWSER}", able[0])


def _loads_extensions(interpreter: str) -> bool:
    asks = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"
    done = subprocess.run([interpreter, "-c", asks], capture_output=True, check=False)
    return done.returncode == 0


def _page(name: str, url: str, selector: str, cookie: str = "") -> dict[str, Any]:
    key, _, value = cookie.partition("=")
    cookies = [{"name": key, "value": value, "url": url}] if key else []
    return {"name": name, "url": url, "selector": selector, "cookies": cookies}


def _ours(reader: PageReader) -> list[dict[str, Any]]:
    """The first view, and the one that shows what the dashboard's first view does."""
    base = f"http://{reader.host}"
    return [
        _page("first", f"{base}/", "#sessions tbody tr td", reader.cookie),
        _page("memory", f"{base}/memory", "ol.entries li.entry", reader.cookie),
    ]


def _compared(found: Mapping[str, Mapping[str, list[float]]], kind: str, whose: str) -> Row:
    first, memory, peer = (
        Sample(tuple(found[name][kind])) for name in ("first", "memory", "dashboard")
    )
    worst = max(first.p50, memory.p50)
    return Row(
        what=f"from the navigation until the first view's data is there, {kind}",
        target=f">= {SOONER:g}x sooner",
        khive=f"{first.show('ms', 50, 99)}; the list of memories {memory.show('ms', 50, 99)}",
        peers=(f"{peer.show('ms', 50, 99)}: {ratio(peer.p50, worst)} ({whose})",),
        met=peer.p50 >= SOONER * worst,
        data={"first": first.as_dict(), "memory": memory.as_dict(), "peer": peer.as_dict()},
    )


def _unmeasured(why: str) -> Row:
    return Row(
        what="from the navigation until the first view's data is there",
        target=f">= {SOONER:g}x sooner",
        khive="-",
        peers=(why,),
    )


# --- the peer -------------------------------------------------------------------------------------


@contextmanager
def _dashboard(place: Path, python: Path, count: int) -> Iterator[str]:
    """Its dashboard's address, with so many entries; ended afterwards."""
    home = place / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    with _vectors() as url:
        environment = {
            **clean_environment(home),
            "MCP_MEMORY_BASE_DIR": str(home),
            "MCP_MEMORY_SQLITE_PATH": str(home / "memories.db"),
            "MCP_EXTERNAL_EMBEDDING_URL": url,
            "MCP_ALLOW_ANONYMOUS_ACCESS": "true",
        }
        _fill(python, environment, count)
        with _serving(python, environment, home) as base:
            yield base


def _fill(python: Path, environment: Mapping[str, str], count: int) -> None:
    say(f"storing {count:,} entries in {PACKAGE}")
    lines = "".join(json.dumps(entry(number).content) + "\n" for number in range(count))
    done = subprocess.run(
        [str(python), "-P", str(_HERE / "dashboard_fill.py")],
        input=lines, env=dict(environment), capture_output=True, text=True, check=True,
        timeout=_PATIENCE,
    )  # fmt: skip
    stored = int(done.stdout.split()[-1])
    assert stored == count, (stored, done.stderr[-500:])


@contextmanager
def _serving(python: Path, environment: Mapping[str, str], home: Path) -> Iterator[str]:
    port = _free_port()
    base = f"http://127.0.0.1:{port}"
    with open(home / "server.log", "wb") as log:
        process = subprocess.Popen(
            [str(python.with_name("memory")), "server", "--http", "--http-port", str(port)],
            env=dict(environment), cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: _answers(f"{base}/api/health"), f"{PACKAGE} answers", _PATIENCE)
        yield f"{base}/"
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class _Vectors(http.server.BaseHTTPRequestHandler):
    """Answers as OpenAI's endpoint for embeddings does: a vector that a text's digest makes."""

    def do_POST(self) -> None:
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        given = asked["input"]
        texts = [given] if isinstance(given, str) else given
        data = [{"index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
        body = json.dumps({"object": "list", "model": asked.get("model"), "data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def _vector(text: str) -> list[float]:
    digest = hashlib.shake_128(text.encode()).digest(_DIMENSIONS)
    numbers = [byte / 127.5 - 1 for byte in digest]
    length = sum(one * one for one in numbers) ** 0.5
    return [round(one / length, 6) for one in numbers]


@contextmanager
def _vectors() -> Iterator[str]:
    """The address of a server of vectors on the loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Vectors)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/embeddings"
    finally:
        server.shutdown()
        server.server_close()
