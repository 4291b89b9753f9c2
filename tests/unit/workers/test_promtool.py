"""Metrics and alert rules as Prometheus' own tool judges them; left out where it is not there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from khive_workers.metrics.alerts import ALERTS, rules
from khive_workers.metrics.declared import Facts, render
from support import DEADLINE
from test_http_metrics import facts

__all__ = ["facts"]

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (prometheus)")

#: Minutes after which all rules have had their time.
AT = "120m"
#: Series that are there while all is well.
WELL = {
    'khive_info{version="1",job="khive"}': "1x150",
    'up{job="khive"}': "1x150",
    'khive_child_ready{child="zygote"}': "1x150",
    'khive_child_restarts_total{child="zygote"}': "0x150",
    "khive_sessions_hung_total": "0x150",
    'khive_role_workers_ready{role="reviewer"}': "1x150",
    'khive_queue_oldest_seconds{role="reviewer"}': "5x150",
    'khive_budget_state{role="reviewer",window="week",unit="usd"}': "1x150",
    'khive_reloads_total{outcome="failed"}': "0x150",
    'khive_reloads_total{outcome="done"}': "0+1x150",
    "khive_search_meaning_skipped_total": "0x150",
    "khive_index_waiting_entries": "5x150",
    'khive_call_seconds_bucket{verb="memory.recall",surface="mcp",le="0.01"}': "0+10x150",
    'khive_call_seconds_bucket{verb="memory.recall",surface="mcp",le="+Inf"}': "0+10x150",
    'khive_store_lock_wait_seconds_bucket{le="0.01"}': "0+10x150",
    'khive_store_lock_wait_seconds_bucket{le="+Inf"}': "0+10x150",
    'khive_size_bytes{file="wal"}': "1000x150",
    "khive_team_waiting_seconds": "5x150",
    "khive_team_put_aside_writes": "0x150",
    'khive_http_refused_total{reason="host"}': "0x150",
}
#: Of each alert what it sees instead.
TROUBLE = {
    "KhiveAway": {'up{job="khive"}': "0x150"},
    "KhiveProcessDown": {'khive_child_ready{child="zygote"}': "0x150"},
    "KhiveProcessRestarts": {'khive_child_restarts_total{child="zygote"}': "0+1x150"},
    "KhiveSessionsHang": {"khive_sessions_hung_total": "0+1x150"},
    "KhiveRoleDown": {'khive_role_workers_ready{role="reviewer"}': "0x150"},
    "KhiveTasksWait": {'khive_queue_oldest_seconds{role="reviewer"}': "4000x150"},
    "KhiveBudgetExceeded": {
        'khive_budget_state{role="reviewer",window="week",unit="usd"}': "2x150"
    },
    "KhiveReloadFailed": {'khive_reloads_total{outcome="failed"}': "0+1x150"},
    "KhiveEmbedderAway": {"khive_search_meaning_skipped_total": "0+1x150"},
    "KhiveVectorsMissing": {"khive_index_waiting_entries": "500x150"},
    "KhiveRecallSlow": {
        'khive_call_seconds_bucket{verb="memory.recall",surface="mcp",le="0.01"}': "0x150",
        'khive_call_seconds_bucket{verb="memory.recall",surface="mcp",le="5.0"}': "0+10x150",
    },
    "KhiveStoreBusy": {
        'khive_store_lock_wait_seconds_bucket{le="0.01"}': "0x150",
        'khive_store_lock_wait_seconds_bucket{le="5.0"}': "0+10x150",
    },
    "KhiveWalGrows": {'khive_size_bytes{file="wal"}': "2000000000x150"},
    "KhiveWritesWait": {"khive_team_waiting_seconds": "4000x150"},
    "KhiveWritesPutAside": {"khive_team_put_aside_writes": "2x150"},
    "KhiveStrangers": {'khive_http_refused_total{reason="host"}': "0+50x150"},
}


def promtool(*words: str, stdin: bytes = b"") -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *words], input=stdin, capture_output=True, timeout=DEADLINE, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    assert "error" not in said.lower(), said


def test_metrics_are_clean(facts: Facts) -> None:
    promtool("check", "metrics", stdin=render(facts))


def test_rules_are_valid_and_each_fires_when_it_should_and_alone(tmp_path: Path) -> None:
    assert set(TROUBLE) == {alert.name for alert in ALERTS}
    (tmp_path / "rules.yml").write_text(json.dumps(rules()))  # JSON is YAML, too
    promtool("check", "rules", str(tmp_path / "rules.yml"))
    cases = [_case({}, [])]
    cases += [_case(series, [name]) for name, series in TROUBLE.items()]
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    promtool("test", "rules", str(tmp_path / "tests.yml"))


def _case(series: dict[str, str], names: list[str]) -> dict[str, Any]:
    found = {**WELL, **series}
    fired = "count by (alertname) (ALERTS{alertstate='firing'})"
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names]
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in found.items()],
        "promql_expr_test": [{"expr": fired, "eval_time": AT, "exp_samples": samples}],
    }
