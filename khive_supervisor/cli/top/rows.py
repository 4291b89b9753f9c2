"""What is shown as rows: sessions, roles, tasks and processes, each with its cells. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from khive_supervisor.cli.render.output import counted
from khive_supervisor.cli.render.status_text import duration
from khive_supervisor.cli.top.cells import clean
from khive_supervisor.overview.asked import Page
from khive_supervisor.text.plain_json import JsonObject

#: How states look; others are plain.
STYLES: Mapping[str, str] = {
    "waiting": "warn", "working": "good", "idle": "dim", "attached": "",
    "ready": "good", "done": "dim", "leased": "good", "queued": "", "cancelled": "dim",
    "failed": "bad", "dead": "bad", "fatal": "bad", "degraded": "bad", "backoff": "bad",
    "hung": "bad", "exceeded": "bad", "near": "warn", "starting": "warn", "drained": "warn",
    "draining": "warn", "warming": "warn",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowKey:
    """Which thing a row is about, so that it stays chosen while rows move."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One row: its cells, the state that says how it looks, and all that is known of it."""

    key: RowKey
    cells: tuple[str, ...]
    state: str
    facts: JsonObject

    def matches(self, words: str) -> bool:
        """Return True if the row has the words that are looked for."""
        return words.casefold() in " ".join(self.cells).casefold()


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind under their headings; `empty` is said where there is none."""

    title: str
    heads: tuple[str, ...]
    caps: tuple[int, ...]
    rows: tuple[OverviewRow, ...]
    empty: str


def sections(page: Page, words: str = "") -> tuple[Section, ...]:
    """Return all that is shown of a page, only rows with these words."""
    now = float(page["now"])
    return tuple(
        Section(title, heads, caps, tuple(row for row in rows if row.matches(words)),
                "none has what you look for" if rows else empty)
        for title, heads, caps, rows, empty in (
            ("SESSIONS", _SESSION, (13, 12, 20, 5, 5, 6, 24), _sessions(page, now),
             "none; `khive-supervisor connect CLIENT --hooks` has a client tell of its sessions"),
            ("ROLES", _ROLE, (18, 9, 3, 7, 6, 7, 22), _roles(page),
             "none; `khive-supervisor capabilities list` shows some that are ready made"),
            ("TASKS", _TASK, (7, 9, 24, 5, 24), _tasks(page, now), "none was given"),
            ("PROCESSES", _PROCESS, (12, 9, 8, 8, 6, 20), _processes(page), "none"),
        )
    )  # fmt: skip


_SESSION = ("STATE", "CLIENT", "PROJECT", "SINCE", "CALLS", "MEM", "LAST PROMPT")
_ROLE = ("ROLE", "STATE", "GEN", "READY", "QUEUED", "AT WORK", "BUDGET")
_TASK = ("TASK", "STATE", "ROLE", "SINCE", "PROGRESS")
_PROCESS = ("PROCESS", "STATE", "PID", "RESTARTS", "MEM", "PROBLEM")


def _sessions(page: Page, now: float) -> list[OverviewRow]:
    told = [
        _row("session", one, str(one.get("session", "")), str(one["state"]), (
            one["words"], one.get("client", ""), _place(one), _ago(one.get("since"), now),
            one.get("calls", ""), _memory(one), one.get("last_prompt", ""),
        ))
        for one in page["sessions"]
    ]  # fmt: skip
    silent = [
        _row("session", one, f"process {one.get('pid')}", "attached", (
            "attached", one.get("client") or "-", one.get("cwd", ""), "", one.get("calls", ""),
            _memory(one), "without hooks",
        ))
        for one in page["attached"]
    ]  # fmt: skip
    return [*told, *silent]


def _memory(facts: Mapping[str, Any]) -> str:
    """Return its memory in megabytes, as it is written where room is short: `12M`."""
    found = facts.get("memory_bytes")
    return f"{found / 1e6:.0f}M" if isinstance(found, int) else ""


def _place(session: Mapping[str, Any]) -> str:
    place = str(session.get("project") or session.get("cwd") or "")
    branch = session.get("branch")
    return f"{place}:{branch}" if branch else place


def _roles(page: Page) -> list[OverviewRow]:
    budgets = {one.get("role"): one for one in page["budgets"]}
    return [
        _row("role", one, str(one["role"]), str(one["state"]), (
            one["role"], one["state"], one.get("generation") or "-",
            f"{one.get('workers_ready', 0)} of {one.get('workers_wanted', 0)}",
            one.get("queued", 0), one.get("leased", 0), _budget(budgets.get(one["role"], {})),
        ))
        for one in page["roles"]
    ]  # fmt: skip


def _budget(account: Mapping[str, Any]) -> str:
    """Return what is spent of each window that has a limit, the fullest first."""
    limited = [one for one in account.get("windows", ()) if one.get("limit")]
    limited.sort(key=lambda one: -float(one["spent"]) / float(one["limit"]))
    unit = "$" if account.get("unit") == "usd" else ""
    parts = [f"{unit}{one['spent']:g} of {unit}{one['limit']:g} {one['window']}" for one in limited]
    state = str(account.get("state", ""))
    return ", ".join([*([state] if state in ("near", "exceeded") else []), *parts])


def _tasks(page: Page, now: float) -> list[OverviewRow]:
    return [
        _row("task", one, str(one["task"]), str(one["state"]), (
            one["task"], _STATE_WORDS.get(str(one["state"]), one["state"]), _whose(one),
            _ago(one.get("ended_at") or one.get("started_at") or one.get("created_at"), now),
            one.get("error") or one.get("progress") or "",
        ))
        for one in page["tasks"]
    ]  # fmt: skip


_STATE_WORDS = {"leased": "at work"}


def _whose(task: Mapping[str, Any]) -> str:
    role, kind = str(task.get("role", "")), str(task.get("task_type") or "")
    return role if kind in ("", role) else f"{role} {kind}"


def _processes(page: Page) -> list[OverviewRow]:
    return [
        _row("process", one, str(one["name"]), str(one["state"]), (
            one["name"], one["state"], one.get("pid") or "-", one.get("restarts", 0),
            _memory(one), one.get("problem", ""),
        ))
        for one in page["children"]
    ]  # fmt: skip


def _row(
    kind: str, facts: JsonObject, name: str, state: str, cells: Sequence[object]
) -> OverviewRow:
    return OverviewRow(RowKey(kind, name), tuple(map(clean, cells)), state, facts)


def _ago(text: object, now: float) -> str:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return ""
    return duration(max(0.0, now - (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()))


def head(page: Page) -> tuple[str, str]:
    """Return the supervisor's state, and what is said beside it."""
    status = page["status"]
    counts = [f"{n} {words}" for _, words, n in page["counts"] if n]
    parts = [
        f"up {duration(float(status['uptime_seconds']))}" if "uptime_seconds" in status else "",
        *counts,
        f"{page['candidates']} to review" if page["candidates"] else "",
    ]
    return str(status.get("state", "unknown")), ", ".join(filter(None, parts))


def index_line(page: Page) -> str:
    """Return how the index is, and what else is wrong with the supervisor."""
    status = page["status"]
    index: Mapping[str, Any] = status.get("index") or {}
    numbers: Sequence[tuple[str, Callable[[Any], str]]] = (
        ("vectors", lambda n: counted(n, "vector")),
        ("generation", "generation {}".format),
        ("waiting_to_be_embedded", lambda n: f"{n} waiting for a vector"),
    )
    parts = [say(index[name]) for name, say in numbers if index.get(name)]
    building = ["being built"] if (status.get("builder") or {}).get("running") else []
    said = ", ".join([str(index.get("state", "unknown")), *parts, *building])
    http = status.get("http") or {}
    more = [f"page {http['url']}"] if http.get("url") else []
    wrong = [str(status[name]) for name in ("store_problem",) if status.get(name)]
    return "; ".join([f"index {said}", *more, *wrong])
