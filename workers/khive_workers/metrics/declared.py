"""Metrics for Prometheus: each declared once, made when asked from what the supervisor says.

Nothing is counted for this on anybody's way: workers count what they did in plain numbers and
report these now and then, the supervisor adds them up, and here they get their names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from khive_supervisor.budgets.account import STATES, Account, Spent
from khive_supervisor.budgets.amounts import TOKENS, USD, plain
from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.control.measured import (
    ARM,
    ATTACH,
    BOUNDS,
    CALL,
    EMBEDDING,
    HOOK,
    LOCK_WAIT,
    RELOAD_PHASE,
    TASK_RUN,
    TASK_WAIT,
    WRITE,
    Durations,
    bounds_of,
    durations,
    errors,
)

#: A value and its labels' values, in the order in which the metric names them.
Sample = tuple[tuple[str, ...], float]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class TaskNumbers:
    """How roles did, how their budgets stand, and what waits for them."""

    #: By role and type of task: executions that succeeded, and all.
    records: Mapping[tuple[str, str], tuple[int, int]]
    #: How the budgets of roles stand; of a role without one, what it spends all the same.
    budgets: Sequence[Account]
    #: By role: how much waits, is being done, and for how many seconds the oldest waits.
    queues: Mapping[str, tuple[int, int, float]]
    #: By channel and state of a message: how many there are.
    messages: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: By role and what for: how many tasks wait for something else than their turn.
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that metrics are made of, as of one moment."""

    status: Mapping[str, Any]
    #: What workers have counted, and how reloads ended.
    counters: Mapping[str, Any]
    tasks: TaskNumbers
    #: The HTTP worker's own numbers.
    http: Mapping[str, Any]
    #: Bytes by file, and live entries by kind.
    sizes: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. Counters only rise, and start anew with the supervisor unless it says more."""

    name: str
    kind: type[GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily]
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Facts], Iterable[Sample]]
    #: Of a histogram: what it shows, by the values of its labels.
    durations: Callable[[Facts], Mapping[tuple[str, ...], Durations]] = lambda _facts: {}
    #: Of a histogram: the upper bounds of its buckets, in seconds.
    bounds: tuple[float, ...] = BOUNDS


def _one(find: Callable[[Facts], Any]) -> Callable[[Facts], Iterator[Sample]]:
    """A metric without labels; none while what it shows is not known."""

    def samples(facts: Facts) -> Iterator[Sample]:
        value = find(facts)
        if value is not None:
            yield (), float(value)

    return samples


def _counted(name: str) -> Callable[[Facts], Iterator[Sample]]:
    return _one(lambda facts: facts.counters["workers"].get(name, 0))


def _sessions(facts: Facts) -> Iterator[Sample]:
    kinds = [session["kind"] for session in facts.status["sessions"]]
    for kind in ("session", "verbs", "hooks", "http"):
        yield (kind,), kinds.count(kind)


def _children(field: str) -> Callable[[Facts], Iterator[Sample]]:
    def samples(facts: Facts) -> Iterator[Sample]:
        for child in facts.status["children"]:
            yield (child["name"],), child[field] == "ready" if field == "state" else child[field]

    return samples


def _arms(facts: Facts) -> Iterator[Sample]:
    counts = facts.counters["workers"]
    yield ("words",), counts.get("searches", 0)
    yield ("meaning",), counts.get("meaning", 0)


def _queue(facts: Facts) -> Iterator[Sample]:
    for role, (queued, leased, _) in sorted(facts.tasks.queues.items()):
        yield (role, "queued"), queued
        yield (role, "leased"), leased


def _waits(facts: Facts) -> Iterator[Sample]:
    for role, (_, _, oldest) in sorted(facts.tasks.queues.items()):
        yield (role,), oldest


def _attempts(facts: Facts) -> Iterator[Sample]:
    for (role, task_type), (succeeded, executions) in sorted(facts.tasks.records.items()):
        yield (role, task_type, "succeeded"), succeeded
        yield (role, task_type, "failed"), executions - succeeded


def _spent(facts: Facts) -> Iterator[Sample]:
    for account in facts.tasks.budgets:
        for spent in account.spent:
            for unit in (USD, TOKENS):
                labels = (account.role, spent.window.name, unit)
                yield labels, plain(spent.of(unit), unit)


def _limited(
    value: Callable[[Account, Spent, BudgetLimits], float],
) -> Callable[[Facts], Iterator[Sample]]:
    """Something of each window that has a limit; other windows have no such sample."""

    def samples(facts: Facts) -> Iterator[Sample]:
        for account in facts.tasks.budgets:
            limits = account.limits
            for spent in account.spent if limits is not None else ():
                if limits is not None and limits.of(spent.window.name) is not None:
                    labels = (account.role, spent.window.name, limits.unit)
                    yield labels, value(account, spent, limits)

    return samples


def _limit(_account: Account, spent: Spent, limits: BudgetLimits) -> float:
    return plain(limits.of(spent.window.name) or 0, limits.unit)


def _role(field: str) -> Callable[[Facts], Iterator[Sample]]:
    def samples(facts: Facts) -> Iterator[Sample]:
        for role in facts.status["roles"]:
            yield (role["role"],), role[field]

    return samples


def _labelled(find: Callable[[Facts], Mapping[Any, int]]) -> Callable[[Facts], Iterator[Sample]]:
    def samples(facts: Facts) -> Iterator[Sample]:
        for key, value in sorted(find(facts).items()):
            yield (key if isinstance(key, tuple) else (key,)), value

    return samples


def _delta(facts: Facts) -> int | None:
    index = facts.status["index"]
    return max(0, index["vectors"] - index["items"]) if "vectors" in index else None


def _none(_facts: Facts) -> Iterator[Sample]:
    """A histogram has no single samples."""
    return iter(())


def _timed(name: str, what: str, text: str, labels: tuple[str, ...] = ()) -> Declared:
    """Declare a histogram of what workers and the supervisor have measured."""

    def found(facts: Facts) -> Mapping[tuple[str, ...], Durations]:
        known = durations(facts.counters["workers"], what)
        return {key: one for key, one in known.items() if len(key) == len(labels) or not labels}

    return Declared(name, HistogramMetricFamily, text, labels, _none, found, bounds_of(what))


def _team(value: Callable[[Mapping[str, Any]], float]) -> Callable[[Facts], list[Sample]]:
    """Return a reading of a team; no sample where there is none."""

    def found(facts: Facts) -> list[Sample]:
        team = facts.status.get("team", {})
        return [((), float(value(team)))] if team.get("state", "off") != "off" else []

    return found


_G, _C = GaugeMetricFamily, CounterMetricFamily
METRICS: tuple[Declared, ...] = (
    Declared("khive_info", _G, "The release that runs; always 1.", ("version",),
             lambda f: [((f.status["version"],), 1)]),
    Declared("khive_uptime_seconds", _G, "Seconds since the supervisor's start.", (),
             _one(lambda f: f.status["uptime_seconds"])),
    Declared("khive_workers", _G, "Registered workers.", ("kind",), _sessions),
    Declared("khive_workers_served", _C, "Workers that have registered.", (),
             _one(lambda f: f.status["sessions_served"])),
    Declared("khive_child_ready", _G, "Whether a supervised child is ready.", ("child",),
             _children("state")),
    Declared("khive_child_restarts", _C, "How often a supervised child was started again.",
             ("child",), _children("restarts")),
    Declared("khive_child_hung", _C,
             "How often a supervised child was replaced because it did not answer.",
             ("child",), _children("hung")),
    Declared("khive_sessions_hung", _C,
             "How often a session's worker was ended because it did not answer.",
             (), _one(lambda facts: facts.status["sessions_hung"])),
    Declared("khive_role_workers_ready", _G, "Workers of a role that are ready.", ("role",),
             _role("workers_ready")),
    Declared("khive_role_restarts", _C, "How often workers of a role were started again.",
             ("role",), _role("restarts")),
    Declared("khive_queue_tasks", _G, "Tasks of a role that wait, or are being done.",
             ("role", "state"), _queue),
    Declared("khive_queue_oldest_seconds", _G, "How long the oldest of a role's tasks waits.",
             ("role",), _waits),
    Declared("khive_waiting_tasks", _G,
             "Tasks that have no turn yet: they wait for other tasks, a time or an approval.",
             ("role", "for"), _labelled(lambda f: f.tasks.waiting)),
    Declared("khive_task_attempts", _C, "Attempts at tasks since the store was made.",
             ("role", "task_type", "outcome"), _attempts),
    Declared("khive_budget_spent", _G,
             "What a role has spent in this calendar week or month, in dollars or tokens.",
             ("role", "window", "unit"), _spent),
    Declared("khive_budget_reserved", _G,
             "What is set aside for the tasks at work; only where there is a limit.",
             ("role", "window", "unit"),
             _limited(lambda account, _, limits: plain(account.reserved, limits.unit))),
    Declared("khive_budget_limit", _G, "What the role may spend in the window.",
             ("role", "window", "unit"), _limited(_limit)),
    Declared("khive_budget_state", _G, "How the window stands: 0 normal, 1 near, 2 exceeded.",
             ("role", "window", "unit"),
             _limited(lambda account, spent, _: STATES.index(account.state_in(spent)))),
    Declared("khive_channel_messages", _G,
             "Messages to a channel: on their way, and ended within the last 30 days.",
             ("channel", "state"), _labelled(lambda f: f.tasks.messages)),
    Declared("khive_team_connected", _G, "Whether this node uses its team's server.", (),
             _team(lambda team: team["state"] == "connected")),
    Declared("khive_team_number", _G, "The last change of the team's that is here.", (),
             _team(lambda team: team.get("number", 0))),
    Declared("khive_team_behind", _G, "Changes at the server that are not here yet.", (),
             _team(lambda team: team.get("behind", 0))),
    Declared("khive_team_nodes", _G, "Nodes that are connected to the team's server.", (),
             _team(lambda team: len(team.get("peers", ())))),
    Declared("khive_team_writers", _G, "Processes of this node that may write to the team.", (),
             _team(lambda team: team.get("writers", 0))),
    Declared("khive_team_waiting_writes", _G,
             "Writes that wait on this machine for the team's server.", (),
             _team(lambda team: team.get("waiting", 0))),
    Declared("khive_team_waiting_seconds", _G, "For how long the first of them waits.", (),
             _team(lambda team: team.get("waiting_seconds", 0))),
    Declared("khive_team_put_aside_writes", _G,
             "Writes that waited and could not be stored: somebody has to look.", (),
             _team(lambda team: team.get("put_aside", 0))),
    Declared("khive_team_clock_ahead_seconds", _G,
             "What the server's clock is ahead of this machine's.", (),
             _team(lambda team: team.get("clock_ahead_seconds") or 0)),
    Declared("khive_reloads", _C, "Reloads, by how they ended.", ("outcome",),
             _labelled(lambda f: f.counters["reloads"])),
    Declared("khive_reload_generation", _G, "The number of the configuration in force.", (),
             _one(lambda f: f.status["reload"]["generation"])),
    Declared("khive_freshness_checks", _C, "Looks whether what a worker keeps is still true.", (),
             _counted("checks")),
    Declared("khive_freshness_moved", _C, "Looks that found the store changed.", (),
             _counted("moved")),
    Declared("khive_freshness_reloads", _C, "Values that were stale, and were read anew.", (),
             _counted("reloads")),
    Declared("khive_searches", _C, "Searches.", (), _counted("searches")),
    Declared("khive_search_arms", _C, "Arms of searches that ran.", ("arm",), _arms),
    Declared("khive_search_meaning_partial", _C,
             "Searches by meaning that had no whole index.", (), _counted("partial")),
    Declared("khive_search_meaning_skipped", _C,
             "Searches by words only, since the embedder was away.", (), _counted("skipped")),
    _timed("khive_attach_seconds", ATTACH,
           "How long clients waited from their arrival to the answered handshake."),
    _timed("khive_hook_seconds", HOOK, "How long events of hooks took.", ("event",)),
    _timed("khive_reload_phase_seconds", RELOAD_PHASE, "How long phases of reloads took.",
           ("phase",)),
    _timed("khive_task_wait_seconds", TASK_WAIT,
           "How long tasks waited from when they were given to their first attempt.", ("role",)),
    _timed("khive_task_run_seconds", TASK_RUN, "How long attempts at tasks took.", ("role",)),
    _timed("khive_call_seconds", CALL, "How long calls of verbs took.", ("verb", "surface")),
    _timed("khive_search_arm_seconds", ARM, "How long an arm of a search took.", ("arm",)),
    _timed("khive_embedding_seconds", EMBEDDING, "How long searches waited for their vector."),
    _timed("khive_store_write_seconds", WRITE,
           "How long transactions took that write, their wait among it."),
    _timed("khive_store_lock_wait_seconds", LOCK_WAIT,
           "How long transactions waited for the write lock."),
    Declared("khive_errors", _C, "Calls that failed, by the error's code.", ("code",),
             _labelled(lambda f: errors(f.counters["workers"]))),
    Declared("khive_size_bytes", _G, "How large the files are.", ("file",),
             _labelled(lambda f: f.sizes)),
    Declared("khive_entries", _G, "Live entries, by kind; rare kinds are one.", ("kind",),
             _labelled(lambda f: f.kinds)),
    Declared("khive_index_generation", _G, "The index generation in use; 0 without one.", (),
             _one(lambda f: f.status["index"].get("generation") or 0)),
    Declared("khive_index_vectors", _G, "Vectors in the generation's file.", (),
             _one(lambda f: f.status["index"].get("items"))),
    Declared("khive_index_delta_vectors", _G, "Vectors that are newer than the file.", (),
             _one(_delta)),
    Declared("khive_index_waiting_entries", _G, "Entries that have no vector yet.", (),
             _one(lambda f: f.status["index"].get("waiting_to_be_embedded"))),
    Declared("khive_http_requests", _C, "Requests to the HTTP worker since its start.",
             ("route", "status"), _labelled(lambda f: f.http["requests"])),
    Declared("khive_http_refused", _C, "Requests that were refused before they were read.",
             ("reason",), _labelled(lambda f: f.http["refused"])),
    Declared("khive_http_connections", _G, "Open connections.", (),
             _one(lambda f: f.http["connections"])),
    Declared("khive_http_evicted", _C, "Idle connections that made room for others.", (),
             _one(lambda f: f.http["evicted"])),
    Declared("khive_http_late", _C, "Connections that were closed because they were slow.", (),
             _one(lambda f: f.http["late"])),
)  # fmt: skip


class _Made(Collector):
    """The metrics of one moment."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        """Return each metric with its samples."""
        for metric in METRICS:
            yield _family(metric, self._facts)


def _family(metric: Declared, facts: Facts) -> Metric:
    """Return one metric with its samples."""
    family = metric.kind(metric.name, metric.help, labels=metric.labels)
    if isinstance(family, HistogramMetricFamily):
        for labels, one in metric.durations(facts).items():
            named = list(labels) if metric.labels else []
            family.add_metric(named, _cumulative(one, metric.bounds), one.seconds)
        return family
    for labels, value in metric.samples(facts):
        family.add_metric(list(labels), value)
    return family


def _cumulative(one: Durations, bounds: Sequence[float]) -> list[tuple[str, float]]:
    named = [*map(str, bounds), "+Inf"]
    return list(zip(named, itertools.accumulate(map(float, one.buckets)), strict=True))


def render(facts: Facts) -> bytes:
    """Return the text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Made(facts))
    return generate_latest(registry)
