"""A real Prometheus reads the metrics, the rules, and what the dashboard asks."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from khive_workers.metrics.declared import METRICS, HistogramMetricFamily
from support import DEADLINE, ROOT, Installation, installed, run, wait_until

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="there is no prometheus")
#: A server, a role and a hook: something of every kind to be measured.
CONFIGURATION = """
[http]
enabled = true
port = 0
[[roles]]
role = "reviewer"
task_types = ["review"]
handler = { command = ["true"] }
"""
SETTINGS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
- job_name: khive
  authorization: {{credentials_file: {token}}}
  static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """A server that scrapes one installation."""

    def __init__(self, khive: Installation, directory: Path) -> None:
        assert PROMETHEUS is not None
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        token = directory / "token"
        token.write_text(khive.run("http", "token").stdout.strip())
        settings = directory / "prometheus.yml"
        settings.write_text(SETTINGS.format(
            rules=json.dumps(str(ROOT / "docs/monitoring/khive.rules.yml")),
            token=json.dumps(str(token)),
            target=urllib.parse.urlsplit(khive.json("http", "info")["url"]).netloc,
        ))  # fmt: skip
        self._base = f"http://127.0.0.1:{port}/api/v1/"
        self.process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={settings}", f"--storage.tsdb.path={directory / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def get(self, path: str, **asked: str) -> Any:
        """Ask it; None while it does not answer, or is not ready."""
        address = f"{self._base}{path}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(address, timeout=DEADLINE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return None
        except OSError:
            return None

    def value(self, expression: str) -> float:
        """Return a sum; 0 where there is nothing."""
        found = self.get("query", query=f"sum({expression})")
        return float(found["result"][0]["value"][1]) if found and found["result"] else 0.0


@pytest.fixture(scope="module")
def khive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("prometheus") / "h") as made:
        made.configure(CONFIGURATION)
        made.start()
        yield made


@pytest.fixture(scope="module")
def prometheus(
    khive: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    server = Prometheus(khive, tmp_path_factory.mktemp("server"))
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


def work(khive: Installation) -> None:
    """Have something of each kind happen once."""
    khive.json("assign", "--role", "reviewer", "look", "--wait")
    khive.call("memory.remember", content="The flamingo ledger closes at noon.")
    said = json.dumps({"session_id": "s1", "prompt": "Look at the ledger."})
    khive.run("hook", "user-prompt-submit", "--client", "codex", stdin=said)
    khive.run("get", "m999", code=None)
    khive.configure(CONFIGURATION + "attempts = 2\n")
    khive.run("reload")

    async def search() -> None:
        async with khive.session() as session:
            await session.call_tool("memory_recall", {"query": "when does the ledger close"})

    run(search())


def test_each_kind_of_duration_is_measured_and_read(
    khive: Installation, prometheus: Prometheus
) -> None:
    work(khive)
    names = [one.name for one in METRICS if one.kind is HistogramMetricFamily]
    assert len(names) == 10

    def missing() -> list[str]:
        return [name for name in names if not prometheus.value(f"{name}_count")]

    wait_until(lambda: not missing(), "all of them are measured")
    assert prometheus.value('khive_size_bytes{file="store"}') > 0
    assert prometheus.value('khive_entries{kind="semantic"}') == 1
    assert prometheus.value("khive_errors_total") >= 1


def test_all_rules_are_well_and_silent_while_all_is_well(prometheus: Prometheus) -> None:
    def rules() -> list[Any]:
        found = prometheus.get("rules")
        return [one for group in found["groups"] for one in group["rules"]] if found else []

    wait_until(lambda: rules() and all(one["health"] == "ok" for one in rules()), "they were read")
    assert [one["name"] for one in rules() if one["state"] == "firing"] == []


def test_whatever_the_dashboard_asks_is_understood(prometheus: Prometheus) -> None:
    wait_until(lambda: prometheus.value("up"), "it has read the metrics")
    board = json.loads((ROOT / "docs/monitoring/khive.dashboard.json").read_text())
    asked = [one["expr"] for panel in board["panels"] for one in panel.get("targets", [])]
    assert len(asked) > 20
    for expression in asked:
        assert prometheus.get("query", query=expression.replace("$__rate_interval", "1m"))
