"""The protocol's own conformance suite against /mcp, where node is.

It is installed once with npm, beside the node that it needs (240 MB, removed afterwards);
KHIVE_CONFORMANCE names the program of another installation, whose node is beside it, or is empty:
then the suite is left out. The suite sends no token, so a proxy adds it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_support import HttpBench
from support import DEADLINE, Installation

pytestmark = pytest.mark.long

#: The suite, and a node that it runs on.
PACKAGES = ("@modelcontextprotocol/conformance@0.1.16", "node@22")
#: Seconds that installing them may take.
INSTALL = 300
#: Scenarios that must pass.
SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
)
_FIXTURE = "calls a tool or reads a resource that only the suite's own example server has"
_NONE = "is about something that this server does not offer"
#: Scenarios that are not run, and why.
LEFT_OUT = {
    "logging-set-level": _NONE,
    "completion-complete": _NONE,
    "prompts-list": _NONE,
    "prompts-get-simple": _NONE,
    "prompts-get-with-args": _NONE,
    "prompts-get-embedded-resource": _NONE,
    "prompts-get-with-image": _NONE,
    "tools-call-simple-text": _FIXTURE,
    "tools-call-image": _FIXTURE,
    "tools-call-audio": _FIXTURE,
    "tools-call-embedded-resource": _FIXTURE,
    "tools-call-mixed-content": _FIXTURE,
    "tools-call-with-logging": _FIXTURE,
    "tools-call-error": _FIXTURE,
    "tools-call-with-progress": _FIXTURE,
    "tools-call-sampling": _FIXTURE,
    "tools-call-elicitation": _FIXTURE,
    "json-schema-2020-12": _FIXTURE,
    "elicitation-sep1034-defaults": _FIXTURE,
    "elicitation-sep1330-enums": _FIXTURE,
    "resources-read-text": _FIXTURE,
    "resources-read-binary": _FIXTURE,
    "resources-templates-read": _FIXTURE,
    "resources-subscribe": _FIXTURE,
    "resources-unsubscribe": _FIXTURE,
    "server-sse-polling": "closes streams on purpose, which needs a store of events",
}


class Proxy:
    """Passes each connection's one request on with the token; whatever else it says stays."""

    def __init__(self, bench: HttpBench) -> None:
        self._bench = bench
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), self._bench.raw() as server:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65536)
                if not data:
                    return
                head += data
            server.sendall(self._with_token(head))
            server.settimeout(None)
            up = threading.Thread(target=_pass, args=(client, server), daemon=True)
            up.start()
            _pass(server, client)

    def _with_token(self, head: bytes) -> bytes:
        ours = f"{self._bench.address[0]}:{self._bench.address[1]}".encode()
        for name in (b"127.0.0.1", b"localhost"):
            head = head.replace(name + b":%d" % self.port, ours)
        # A page of the proxy's own is one of the server's, for the suite.
        head = re.sub(rb"(?im)^(connection:.*|origin: http://%b)\r\n" % ours, b"", head)
        token = f"Authorization: Bearer {self._bench.token}\r\nConnection: close\r\n".encode()
        return head.replace(b"\r\n", b"\r\n" + token, 1)

    def close(self) -> None:
        self._listener.close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def url(shared_http: HttpBench) -> Iterator[str]:
    """The server behind a proxy that has the token."""
    proxy = Proxy(shared_http)
    yield f"http://127.0.0.1:{proxy.port}/mcp"
    proxy.close()


@pytest.fixture(scope="module")
def shared_http(shared: Installation) -> HttpBench:
    shared.stop()
    shared.configure("[http]\nenabled = true\nport = 0\n")
    shared.start()
    return HttpBench(shared)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The suite's program; skips where it cannot be had."""
    present = os.environ.get("KHIVE_CONFORMANCE")
    if present == "":
        pytest.skip("KHIVE_CONFORMANCE is empty: the suite is not to be installed")
    if present is not None:
        yield Suite(Path(present))
        return
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm to install the suite with")
    directory = tmp_path_factory.mktemp("suite")
    # Its cache goes with the rest; its settings stay the user's, who may need a proxy.
    environ = {**os.environ, "npm_config_cache": str(directory / "cache")}
    argv = [npm, "install", "--no-audit", "--no-fund", *PACKAGES]
    done = subprocess.run(argv, cwd=directory, env=environ, capture_output=True, timeout=INSTALL)
    if done.returncode != 0:
        pytest.skip(f"npm could not install the suite: {done.stderr.decode()[-300:]}")
    yield Suite(directory / "node_modules/.bin/conformance")
    shutil.rmtree(directory)


class Suite:
    """Runs the suite, with the node beside it."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def __call__(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        path = f"{self._program.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [self._program, *words],
            cwd=cwd,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )


@pytest.mark.node
def test_every_scenario_of_the_suite_is_run_or_left_out_for_a_reason(
    suite: Suite, tmp_path: Path
) -> None:
    listed = suite("list", "--server", cwd=tmp_path).stdout
    found = set(re.findall(r"^\s+-\s+([a-z0-9-]+)", listed, re.MULTILINE))
    assert found == {*SCENARIOS, *LEFT_OUT}
    assert not set(SCENARIOS) & set(LEFT_OUT)


@pytest.mark.node
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_passes(scenario: str, suite: Suite, url: str, tmp_path: Path) -> None:
    done = suite("server", "--url", url, "--scenario", scenario, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
