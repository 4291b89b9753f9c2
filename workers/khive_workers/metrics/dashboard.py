"""A dashboard for Grafana with a panel for each metric, made from their declarations. Pure."""

from __future__ import annotations

from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from khive_workers.metrics.declared import METRICS, Declared

#: Panels side by side, and their size in the grid's units.
ACROSS, WIDTH, HEIGHT = 3, 8, 7
_UNITS = {"_seconds": "s", "_bytes": "bytes"}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "title": "khive-supervisor",
        "uid": "khive-supervisor",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(place, metric) for place, metric in enumerate(METRICS)],
    }


def _panel(place: int, metric: Declared) -> dict[str, Any]:
    row, column = divmod(place, ACROSS)
    unit = next((u for end, u in _UNITS.items() if metric.name.endswith(end)), "short")
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": metric.name,
        "description": metric.help,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": letter, "expr": expression, "legendFormat": legend}
            for letter, (expression, legend) in zip("ABC", _queries(metric), strict=False)
        ],
    }


def _queries(metric: Declared) -> list[tuple[str, str]]:
    """Return what a panel asks, each with its legend."""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind is HistogramMetricFamily:
        by = ", ".join(("le", *metric.labels))
        rate = f"sum by ({by}) (rate({metric.name}_bucket[5m]))"
        shares = ((0.5, "p50"), (0.99, "p99"))
        return [(f"histogram_quantile({q}, {rate})", f"{word} {legend}") for q, word in shares]
    if metric.kind is CounterMetricFamily:
        return [(f"rate({metric.name}_total[5m])", legend)]
    return [(metric.name, legend)]
