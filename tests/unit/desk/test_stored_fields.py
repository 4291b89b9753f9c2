"""Whatever is stored is shown as text: no field of any answer becomes markup, whoever wrote it."""

from __future__ import annotations

import html.parser
from typing import Any

import pytest
from desk_support import FakeBackend, desk

EVIL = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202e\x00</textarea></title>"
)
AT = "2026-11-30T00:00:00Z"
BETA = {"mean": 0.5, "interval_90": [0.1, 0.9], "ess": 4.0}
ESTIMATE = {"mean": 0.5, "interval": [0.1, 0.9]}
ENTRY = {
    "id": "m1", "content": EVIL, "title": EVIL, "tags": [EVIL], "source": EVIL, "kind": EVIL,
    "project": EVIL, "created_at": AT, "older": EVIL, "code": EVIL, "why": EVIL, "score": 0.5,
    "ranking": {"words_rank": EVIL}, "branch": EVIL, "provenance": EVIL, "namespace": EVIL,
}  # fmt: skip
TASK = {
    "task": "t1", "state": "failed", "role": EVIL, "task_type": EVIL, "error": EVIL, "cwd": EVIL,
    "progress": EVIL, "result": {"a": EVIL}, "payload": EVIL, "log_tail": EVIL, "created_at": AT,
    "attempts": "1 of 3", "why": {
        "by": EVIL, "selected": EVIL, "because": EVIL,
        "candidates": [{"role": EVIL, "mean": 0.5, "n": 1.0, "load": 0.0}],
        "skipped": [{"role": EVIL, "because": EVIL}],
        "route": {"candidate": EVIL, "because": EVIL,
                  "considered": [{"candidate": EVIL, "price": EVIL, "passed_over": EVIL}],
                  "failed_over": [{"candidate": EVIL, "because": EVIL}]},
    }, "note": EVIL,
    "events": [{"what": EVIL, "at": AT, "detail": EVIL}],
}  # fmt: skip
ROLE = {
    "role": EVIL, "state": "ready", "in_service": True, "generation": 1, "workers_wanted": 1,
    "workers_ready": 1, "restarts": 0, "last_error": EVIL, "queued": 0, "leased": 0,
    "budget": "normal",
}  # fmt: skip
CHILD = {"name": "http", "state": "ready", "pid": 1, "restarts": 0, "hung": 0, "last_exit": EVIL,
         "problem": EVIL}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "status": {
        "state": "degraded", "children": [CHILD], "roles": [ROLE], "unserved": {EVIL: 2},
        "store_problem": EVIL, "index": {"state": EVIL, "vectors": 1, "model": EVIL},
        "builder": {"running": False}, "reload": {"generation": 1}, "uptime_seconds": 1.0,
        "team": {"state": EVIL, "server": EVIL, "node": EVIL, "number": 1, "peers": [EVIL],
                 "waiting": 1, "waiting_seconds": 1.0, "put_aside": 1, "waiting_problem": EVIL},
    },
    "sessions.list": {
        "sessions": [{
            "client": EVIL, "session": EVIL, "state": "waiting", "seen_at": AT, "since": AT,
            "project": EVIL, "branch": EVIL, "memory_bytes": 1, "cwd": EVIL,
            "last_prompt": EVIL, "cost": 1.0,
        }],
        "without_hooks": [{"client": EVIL, "cwd": EVIL, "pid": 1}],
    },
    "agents.tasks": {"tasks": [TASK]},
    "agents.task": TASK,
    "agents.roles": {"roles": [{"role": EVIL, "records": [
        {"task_type": EVIL, "executions": 1, "success": 0.5, "interval": [0.1, 0.9]}]}]},
    "reload": {"text": EVIL, "errors": [EVIL], "digest": "d"},
    "memory.list": {"entries": [ENTRY], "total": 1, "next": EVIL, "notes": [EVIL]},
    "memory.recall": {"results": [ENTRY], "notes": [EVIL], "search": {"milliseconds": 1}},
    "memory.get": {"entries": [ENTRY], "notes": [EVIL]},
    "memory.stats": {"by_kind": {EVIL: 1}, "by_namespace": {EVIL: 1, "b": 1},
                     "by_age": {EVIL: 1}, "bytes": {"store": 1}, "entries": {"live": 1}},
    "memory.tags": {"tags": {EVIL: 1}},
    "memory.tidy": {"proposals": [{"id": "m1", "line": EVIL, "kind": "same", "why": EVIL}]},
    "memory.changes": {"changes": [
        {"change": 1, "what": EVIL, "count": 1, "by": EVIL, "at": AT}]},
    "projects.list": {"projects": [{"name": EVIL}]},
    "graph.neighbors": {"about": [EVIL], "neighbors": [
        {"id": "m2", "link": link, "line": EVIL} for link in (EVIL, "contradicts")]},
    "sessions.told": {"told": [{"client": EVIL, "session": EVIL, "event": EVIL, "at": AT}]},
    "review.list": {"candidates": [{"id": "c1", "kind": EVIL, "text": EVIL, "said_by": EVIL,
                                    "client": EVIL, "session": EVIL, "at": AT}]},
    "brain.profiles": {"profiles": [{"name": EVIL, "lifecycle": "active", "consumer_kind": EVIL,
                                     "events": 1, "updated_at": AT}]},
    "brain.profile": {"name": EVIL, "description": EVIL, "weights": {"relevance": BETA},
                      "targets": [{**BETA, "id": "m1", "line": EVIL, "events": 1}]},
    "brain.bindings": {"bindings": [{"name": EVIL, "actor": EVIL}]},
    "brain.event_counts": {"counts": [{"day": EVIL, "signal": EVIL, "events": 1}]},
    "system.audit": {"head": EVIL, "entries": [
        {"seq": 1, "node": EVIL, "at": AT, "kind": EVIL, "actor": EVIL, "subject": EVIL,
         "detail": {"a": EVIL}}]},
    "agents.budget": {"roles": [{"role": EVIL, "unit": EVIL, "near": 0.8, "windows": [
        {"window": EVIL, "state": "near", "limit": 5.0, "spent": 4.0, "ends": AT}]}]},
    "history.curve": {"days": [{"day": EVIL, "executions": 1, "success": ESTIMATE,
                                "cost": ESTIMATE, "seconds": ESTIMATE}],
                      "together": {"executions": 1, "success": ESTIMATE, "cost": ESTIMATE,
                                   "seconds": ESTIMATE}},
    "history.list": {"executions": [{"id": "e1", "task": "t1", "outcome": EVIL, "role": EVIL,
                                     "task_type": EVIL, "prompt": EVIL, "error": EVIL,
                                     "seconds": 1.0, "ended_at": AT}]},
    "workflow.approvals": {"approvals": [
        {"approval": f"a{n}", "task": "t1", "role": EVIL, "state": state, "by": EVIL, "step": EVIL,
         "workflow": "w1", "note": EVIL, "decided_by": EVIL, "expires_at": AT}
        for n, state in enumerate(("asked", "approved"))]},
    "workflow.list": {"workflows": [{"name": EVIL, "description": EVIL, "steps": 1, "every": EVIL}],
                      "runs": [{"run": "w1", "name": EVIL, "state": EVIL, "created_at": AT,
                                "steps": {EVIL: 1}}]},
    "workflow.show": {"run": "w1", "name": EVIL, "state": "failed", "created_at": AT,
                      "graph": [EVIL], "tasks": [{"step": EVIL, "task": "t1", "state": EVIL,
                                                  "role": EVIL, "after": [EVIL], "error": EVIL}]},
    "workflow.schedules": {"schedules": [{"schedule": "s1", "name": EVIL, "every": EVIL,
                                          "zone": EVIL, "next": AT, "last": [{"run": "w1"}]}]},
    "channels.list": {"channels": [{"name": EVIL, "kind": EVIL, "events": [EVIL], "problem": EVIL,
                                    "sent": 1, "waiting": 0, "gathering": 0, "dead": 1}]},
    "channels.log": {"messages": [{"made_at": AT, "channel": EVIL, "state": EVIL, "title": EVIL,
                                   "attempts": 1, "error": EVIL}]},
    "(waiting)": {"writes": [{"number": 7, "at": AT, "by": EVIL, "verb": EVIL, "gist": EVIL,
                              "error": error} for error in (EVIL, "")]},
    "(code)": {"code": EVIL},
    "(pieces)": {"entries": [{**ENTRY, "id": f"k{n}"} for n in (1, 2)]},
    "(verify)": {"intact": False, "problem": {"seq": 1, "text": EVIL}},
}  # fmt: skip
PATHS = ("/", "/memory", "/memory?q=script+alert", "/memory/m1", "/memory/review", "/profiles",
         "/agents?task=t1&plan=1", "/agents?plan=1", "/workflows?run=w1", "/channels?channel=x",
         "/audit?verify=1", "/health")  # fmt: skip


class Markup(html.parser.HTMLParser):
    """Notes what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[str] = []
        self.seen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "script" and not str(named.get("src", "")).startswith("/desk/static/"):
            self.acts.append(f"<{tag}>")
        if tag == "img" and not str(named.get("src", "")).startswith("/desk/static/"):
            self.acts.append(f"<{tag}>")
        self.acts += [name for name in named if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            if name in named and not str(named[name]).startswith(("/", "#")):
                self.acts.append(f"{name}={named[name]}")

    def handle_data(self, data: str) -> None:
        self.seen += "alert(1)" in data


@pytest.mark.parametrize("path", PATHS)
def test_a_stored_field_is_text(path: str) -> None:
    browser = desk(FakeBackend(ANSWERS))
    browser.login()
    answer = browser.ask("GET", path)
    assert answer.status == 200, answer.text
    found = Markup()
    found.feed(answer.text)
    assert found.acts == []
    assert found.seen, "the fields are not shown at all"
    assert "\x00" not in answer.text


@pytest.mark.parametrize("path", ["/memory?q=", "/audit?kind=", "/agents?role=", "/memory?tag="])
def test_what_is_asked_is_text(path: str) -> None:
    browser = desk(FakeBackend(ANSWERS))
    browser.login()
    found = Markup()
    found.feed(browser.ask("GET", path + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text)
    assert found.acts == []
