"""Alert rules for Prometheus, each declared once; the rules' file follows from these. Pure.

Written by `scripts/docs` to docs/monitoring; docs/runbook.md says of each what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule: it fires when the expression has held for so long.

    Attributes:
        severity: page (somebody waits) or ticket (this week).
    """

    name: str
    expression: str
    held: str
    severity: str
    summary: str

    @property
    def runbook(self) -> str:
        """Return the place in docs/runbook.md that says what to do."""
        return f"docs/runbook.md#{self.name.lower()}"


_SKIPPED = "rate(khive_search_meaning_skipped_total[5m]) > 0"
_LOCK = "histogram_quantile(0.99, sum by (le) (rate(khive_store_lock_wait_seconds_bucket[5m])))"
_RECALL = (
    "histogram_quantile(0.99, sum by (le) "
    '(rate(khive_call_seconds_bucket{verb="memory.recall"}[5m])))'
)
ALERTS = (
    Alert("KhiveAway", 'absent(khive_info) == 1 or up{job="khive"} == 0', "2m", "page",
          "The supervisor is not scraped: it is away, or its HTTP is."),
    Alert("KhiveProcessDown", "khive_child_ready == 0", "1m", "page",
          "The process {{ $labels.child }} is not ready."),
    Alert("KhiveProcessRestarts", "increase(khive_child_restarts_total[15m]) > 3", "0m", "ticket",
          "The process {{ $labels.child }} is started again and again."),
    Alert("KhiveSessionsHang", "increase(khive_sessions_hung_total[1h]) > 0", "0m", "ticket",
          "Sessions' workers were ended since they did not answer."),
    Alert("KhiveRoleDown", "khive_role_workers_ready == 0", "2m", "page",
          "The role {{ $labels.role }} has no worker that is ready."),
    Alert("KhiveTasksWait", "khive_queue_oldest_seconds > 3600", "5m", "ticket",
          "A task of {{ $labels.role }} waits for more than an hour."),
    Alert("KhiveBudgetExceeded", "khive_budget_state == 2", "0m", "page",
          "The role {{ $labels.role }} may spend nothing more this {{ $labels.window }}."),
    Alert("KhiveReloadFailed", 'increase(khive_reloads_total{outcome!="done"}[15m]) > 0', "0m",
          "ticket", "A reload ended with {{ $labels.outcome }}."),
    Alert("KhiveEmbedderAway", _SKIPPED, "5m", "ticket",
          "Searches go by words only, since the embedder is away."),
    Alert("KhiveVectorsMissing", "khive_index_waiting_entries > 100", "30m", "ticket",
          "{{ $value }} entries have had no vector for half an hour."),
    Alert("KhiveRecallSlow", f"{_RECALL} > 1", "10m", "ticket",
          "One recall in a hundred takes more than a second."),
    Alert("KhiveStoreBusy", f"{_LOCK} > 1", "10m", "ticket",
          "One transaction in a hundred waits more than a second for the store's lock."),
    Alert("KhiveWalGrows", 'khive_size_bytes{file="wal"} > 1e9', "30m", "ticket",
          "The write-ahead log has more than 1 GB: something reads and does not end."),
    Alert("KhiveWritesWait", "khive_team_waiting_seconds > 3600", "5m", "ticket",
          "Writes of this machine wait for more than an hour for the team's server."),
    Alert("KhiveWritesPutAside", "khive_team_put_aside_writes > 0", "5m", "ticket",
          "{{ $value }} writes that waited could not be stored."),
    Alert("KhiveStrangers", "increase(khive_http_refused_total[5m]) > 100", "0m", "ticket",
          "Many requests are refused ({{ $labels.reason }})."),
)  # fmt: skip


def rules() -> dict[str, Any]:
    """Return the rules' file as Prometheus reads it."""
    return {"groups": [{"name": "khive", "rules": [_rule(one) for one in ALERTS]}]}


def _rule(one: Alert) -> dict[str, Any]:
    return {
        "alert": one.name,
        "expr": one.expression,
        "for": one.held,
        "labels": {"severity": one.severity},
        "annotations": {"summary": one.summary, "runbook": one.runbook},
    }
