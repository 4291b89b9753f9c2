"""Alert rules and the dashboard: of metrics that there are, with a page for each, as they ship."""

from __future__ import annotations

import json
import re

import yaml
from khive_workers.metrics.alerts import ALERTS, rules
from khive_workers.metrics.dashboard import dashboard
from khive_workers.metrics.declared import METRICS
from support import ROOT

FOLDER = ROOT / "docs/monitoring"
NAMES = {
    metric.name + end
    for metric in METRICS
    for end in {
        "counter": ("_total",),
        "histogram": ("_bucket", "_sum", "_count"),
    }.get(metric.kind.__name__.removesuffix("MetricFamily").lower(), ("",))
}


def named(expression: str) -> set[str]:
    return set(re.findall(r"\bkhive_\w+", expression))


def test_rules_and_panels_ask_for_metrics_that_there_are() -> None:
    for alert in ALERTS:
        assert named(alert.expression), alert.name
        assert named(alert.expression) <= NAMES, alert.name
    panels = dashboard()["panels"]
    for panel in panels:
        for target in panel["targets"]:
            assert named(target["expr"]) <= NAMES
    assert [panel["title"] for panel in panels] == [metric.name for metric in METRICS]
    assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}) == len(panels)


def test_labels_of_a_summary_are_its_metric_s() -> None:
    labels = {metric.name: metric.labels for metric in METRICS}
    for alert in ALERTS:
        for label in re.findall(r"\$labels\.(\w+)", alert.summary):
            (name,) = named(alert.expression)
            assert label in labels[name.removesuffix("_total")], alert.name


def test_each_alert_has_its_page() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [alert.name for alert in ALERTS]


def test_what_ships_is_what_is_declared() -> None:
    shipped = (FOLDER / "khive.rules.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(shipped) == rules()
    shipped = (FOLDER / "khive.dashboard.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == dashboard()
