"""Metrics made of what the supervisor says."""

from __future__ import annotations

from pathlib import Path

import pytest
from khive_workers.metrics.declared import METRICS, Facts, TaskNumbers, render
from prometheus_client.parser import text_string_to_metric_families

from khive_supervisor.budgets import windows
from khive_supervisor.budgets.account import Account, Spent
from khive_supervisor.budgets.limits import BudgetLimits, BudgetReserve
from khive_supervisor.config.load import load
from khive_supervisor.supervision.upgrade.inherited import StartOptions
from khive_supervisor.supervision.wiring import Parts

HTTP = {
    "requests": {("/status", "200"): 3},
    "refused": {"unauthorized": 2},
    "connections": 1,
    "evicted": 0,
    "late": 4,
}

WEEK, MONTH = windows.week(0), windows.month(0)
BUDGETS = [
    Account("free", (Spent(WEEK, 2_500_000, 40), Spent(MONTH, 3_000_000, 50))),
    Account(
        "reviewer",
        (Spent(WEEK, 9_000_000, 7), Spent(MONTH, 9_000_000, 7)),
        BudgetLimits(weekly=10_000_000),
        BudgetReserve(1_000_000, "set"),
        500_000,
    ),
    Account("scribe", (Spent(WEEK, 0, 90), Spent(MONTH, 0, 90)), BudgetLimits(100, 900, "tokens"),
            BudgetReserve(20, "set")),
]  # fmt: skip


MEASURED = {
    "call|memory.recall,mcp|3": 2, "call|memory.recall,mcp|14": 1,
    "call|memory.recall,mcp|us": 99_000_000,
    "write||0": 4, "write||us": 2000, "lock_wait||0": 1, "embedding||2": 1, "arm|words|1": 1,
    "attach||4": 1, "hook|Stop|2": 1, "reload_phase|staging|1": 2, "task_wait|reviewer|3": 1,
    "task_run|reviewer|12": 1, "task_run|reviewer|us": 90_000_000_000,
    "error|not_found": 3,
}  # fmt: skip


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setenv("HOME", str(tmp_path))
    parts = Parts(StartOptions(load(None, str(tmp_path), {}), str(tmp_path / "s")))
    status = dict(parts.status())
    counted = {"searches": 5, "meaning": 4, "checks": 9, **MEASURED}
    counters = {"workers": counted, "reloads": {"done": 2}}
    records = {("reviewer", 'a "type"'): (3, 4)}
    tasks = TaskNumbers(records, BUDGETS, {"reviewer": (2, 1, 7.5)}, {("ops", "dead"): 2})
    return Facts(status, counters, tasks, HTTP, {"store": 5}, {"semantic": 7})


def test_every_metric_is_there_and_parses(facts: Facts) -> None:
    text = render(facts).decode()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(found) == {metric.name for metric in METRICS}
    for metric in METRICS:
        for sample in found[metric.name].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@pytest.mark.parametrize(
    "line",
    [
        'khive_queue_tasks{role="reviewer",state="queued"} 2.0',
        'khive_queue_oldest_seconds{role="reviewer"} 7.5',
        'khive_task_attempts_total{outcome="failed",role="reviewer",task_type="a \\"type\\""} 1.0',
        'khive_search_arms_total{arm="meaning"} 4.0',
        "khive_searches_total 5.0",
        "khive_attach_seconds_count 1.0",
        'khive_hook_seconds_count{event="Stop"} 1.0',
        'khive_reload_phase_seconds_count{phase="staging"} 2.0',
        'khive_task_wait_seconds_bucket{le="5.0",role="reviewer"} 1.0',
        'khive_task_run_seconds_bucket{le="43200.0",role="reviewer"} 0.0',
        'khive_task_run_seconds_bucket{le="+Inf",role="reviewer"} 1.0',
        'khive_task_run_seconds_sum{role="reviewer"} 90000.0',
        'khive_channel_messages{channel="ops",state="dead"} 2.0',
        "khive_freshness_checks_total 9.0",
        "khive_freshness_moved_total 0.0",
        'khive_budget_spent{role="free",unit="usd",window="week"} 2.5',
        'khive_budget_spent{role="free",unit="tokens",window="month"} 50.0',
        'khive_budget_limit{role="reviewer",unit="usd",window="week"} 10.0',
        'khive_budget_reserved{role="reviewer",unit="usd",window="week"} 0.5',
        'khive_budget_state{role="reviewer",unit="usd",window="week"} 1.0',
        'khive_budget_state{role="scribe",unit="tokens",window="week"} 2.0',
        'khive_budget_state{role="scribe",unit="tokens",window="month"} 0.0',
        'khive_reloads_total{outcome="done"} 2.0',
        'khive_http_requests_total{route="/status",status="200"} 3.0',
        'khive_http_refused_total{reason="unauthorized"} 2.0',
        "khive_http_late_total 4.0",
        'khive_workers{kind="session"} 0.0',
        'khive_child_ready{child="embedder"} 0.0',
        'khive_call_seconds_bucket{le="0.01",surface="mcp",verb="memory.recall"} 2.0',
        'khive_call_seconds_bucket{le="+Inf",surface="mcp",verb="memory.recall"} 3.0',
        'khive_call_seconds_sum{surface="mcp",verb="memory.recall"} 99.0',
        "khive_store_write_seconds_count 4.0",
        'khive_errors_total{code="not_found"} 3.0',
        'khive_size_bytes{file="store"} 5.0',
        'khive_entries{kind="semantic"} 7.0',
    ],
)
def test_facts_become_samples(facts: Facts, line: str) -> None:
    def sorted_labels(text: str) -> str:
        head, _, rest = text.partition("{")
        labels, _, value = rest.rpartition("}")
        return f"{head}{{{','.join(sorted(labels.split(',')))}}}{value}" if rest else text

    lines = {sorted_labels(one) for one in render(facts).decode().splitlines()}
    assert sorted_labels(line) in lines


def test_only_limits_that_are_set_have_samples(facts: Facts) -> None:
    lines = render(facts).decode().splitlines()
    limits = [line for line in lines if line.startswith("khive_budget_limit{")]
    assert len(limits) == 3
    assert not [line for line in limits if 'role="free"' in line]
    assert len([line for line in lines if line.startswith("khive_budget_spent{")]) == 12


def test_what_is_not_known_yet_is_left_out(facts: Facts) -> None:
    assert facts.status["index"]["state"] == "unknown"
    lines = render(facts).decode().splitlines()
    assert not [line for line in lines if line.startswith("khive_index_vectors")]
    assert "khive_index_generation 0.0" in lines
