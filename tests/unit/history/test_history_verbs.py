"""The history's verbs, and what a role's handler is told of earlier tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from khive_workers.role.candidates import WithHistory
from khive_workers.role.context import Memory
from khive_workers.role.handlers import TaskHandler

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import NotFound, StoreUnavailable
from khive_supervisor.packs import loading
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED, Claim, Claimant, Outcome, RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
ROLE = {"role": "fixer", "task_types": ["fix"], "handler": {"command": ["true"]}, "history": 3}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}, "roles": [ROLE]})
    opened = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: None, grant=OPERATOR
    )
    opened.store.roles.set([RoleRow("fixer", ("fix",)), RoleRow("other", ("fix",))])
    yield opened
    opened.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def tried(context: Context, prompt: str, *outcomes: Outcome, role: str = "fixer") -> str:
    """Attempts at a task, one after the other; the task."""
    task = call(context, "agents.assign", role=role, payload={"prompt": prompt})["task"]
    for outcome in outcomes:
        claim = context.store.tasks.claim(Claimant(role, "w"), lease.now().after(3600))
        assert claim is not None
        assert context.store.tasks.finish(claim.id, claim.token, outcome, lease.now()).accepted
    return str(task)


def test_what_is_like_a_task_and_how_it_ended(context: Context) -> None:
    first = tried(
        context,
        "fix the flaky retry test",
        Outcome(FAILED, error="it still hangs"),
        Outcome(DONE, "waits for the port now"),
    )
    tried(context, "write the changelog", Outcome(DONE), role="other")
    found = call(context, "history.similar", query="a flaky test")
    (one,) = found["results"]
    assert (one["task"], one["attempt"], one["attempts"]) == (first, 2, 2)
    assert (one["outcome"], one["answer"]) == ("done", "waits for the port now")
    assert one["retry_of"] == ["e1"]
    assert found["outcomes"] == {"done": 1}
    failed = call(context, "history.similar", query="a flaky test", outcome="failed")["results"]
    assert [(hit["id"], hit["error"]) for hit in failed] == [("e1", "it still hangs")]
    assert call(context, "history.similar", query="flaky test", role="other")["results"] == []
    assert call(context, "memory.recall", query="flaky test")["results"] == []
    assert call(context, "memory.get", ids=["e2"])["entries"][0]["kind"] == "done"


def test_listed_summed_up_and_followed(context: Context) -> None:
    task = tried(context, "mend it", Outcome(FAILED, error="no"), Outcome(DONE, latency=2.0))
    tried(context, "write it", Outcome(CANCELLED), role="other")
    listed = call(context, "history.list", limit=2)
    assert [one["id"] for one in listed["executions"]] == ["e3", "e2"]
    older = call(context, "history.list", limit=2, before="e2")["executions"]
    assert [(one["id"], one["prompt"]) for one in older] == [("e1", "mend it")]
    curve = call(context, "history.curve")
    assert curve["together"]["executions"] == 2
    assert curve["days"][0]["success"]["mean"] == 0.5
    assert call(context, "history.curve", role="other") == {"days": []}
    lineage = call(context, "history.lineage", task=task)
    assert [one["id"] for one in lineage["executions"]] == ["e1", "e2", "e3"]
    retried, followed = (
        {"from": start, "kind": kind, "to": end}
        for start, kind, end in (("e2", "retry_of", "e1"), ("e3", "follows", "e2"))
    )
    assert lineage["links"] == [retried, followed]
    assert call(context, "history.lineage", task="e1")["links"] == [retried]
    with pytest.raises(NotFound, match="No attempt"):
        call(context, "history.lineage", task="t99")


def test_a_role_is_selected_by_tasks_like_the_one_given(context: Context) -> None:
    """`fixer` is as good as `other` at the type, and bad at flaky tests."""
    broken, mended = Outcome(FAILED, error="no", final=True), Outcome(DONE)
    for number in range(6):
        tried(context, f"mend the flaky retry test {number}", broken)
        tried(context, f"mend the flaky retry test {number}", mended, role="other")
        tried(context, f"write the docs of release {number}", mended)
        tried(context, f"write the docs of release {number}", broken, role="other")

    def given(payload: Any) -> tuple[str, dict[str, Any]]:
        found = call(context, "agents.assign", task_type="fix", payload=payload)
        call(context, "agents.cancel", task=found["task"])
        return found["role"], {one["role"]: one for one in found["why"]["candidates"]}

    chosen = [given({"prompt": "a flaky retry test again"}) for _ in range(8)]
    assert [role for role, _ in chosen] == ["other"] * 8
    why = chosen[0][1]
    assert why["other"]["alike"]["success"] > 0.9 > 0.1 > why["fixer"]["alike"]["success"]
    assert {given({"prompt": "docs of the next release"})[0] for _ in range(3)} == {"fixer"}
    # Nothing is like it, or nothing is known of it: the type decides.
    for payload in ({"prompt": "zebra quagga"}, None):
        assert all("alike" not in one for one in given(payload)[1].values())


RELEASE = {
    "name": "release",
    "steps": [
        {"name": "list", "role": "fixer"},
        {"name": "build", "role": "fixer", "each": "{{steps.list.result}}", "payload": "{{item}}"},
        {"name": "publish", "role": "other", "payload": "{{steps.build.result}}"},
    ],
}


def test_what_a_workflow_orders_is_followed(context: Context) -> None:
    tried(context, "something else before", Outcome(DONE))
    call(context, "workflow.run", definition=RELEASE)
    for role, outcome in (
        ("fixer", Outcome(DONE, ["docs", "wheel"])),
        ("fixer", Outcome(DONE, "built")),
        ("fixer", Outcome(FAILED, error="no compiler")),
        ("fixer", Outcome(DONE, "built")),
        ("other", Outcome(DONE)),
    ):
        claim = context.store.tasks.claim(Claimant(role, "w"), lease.now().after(3600))
        assert claim is not None
        assert context.store.tasks.finish(claim.id, claim.token, outcome, lease.now()).accepted
    last = call(context, "history.list", role="other")["executions"][0]
    found = call(context, "history.lineage", task=last["id"])
    # Its parts follow the list, a part's second attempt retries the first, and it follows both.
    assert [(one["from"], one["kind"], one["to"]) for one in found["links"]] == [
        ("e3", "follows", "e2"),
        ("e4", "follows", "e2"),
        ("e5", "retry_of", "e4"),
        ("e5", "follows", "e2"),
        ("e6", "follows", "e3"),
        ("e6", "follows", "e5"),
    ]
    assert [one["id"] for one in found["executions"]] == ["e2", "e3", "e4", "e5", "e6"]


class Begun:
    """A handler that keeps what it was begun with."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def begin(self, claim: Claim) -> None:
        self.claims.append(claim)


class Calls:
    """The verbs, as a role's worker has them."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def call(self, _claim: Claim, verb: str, args: dict[str, Any]) -> dict[str, Any]:
        return call(self.context, verb, **args)


class Broken:
    """Verbs of a store that cannot be read."""

    def call(self, *_: object) -> dict[str, Any]:
        raise StoreUnavailable("The store is busy.")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"prompt": "the flaky retry test again"}, ["worked (fixer): fix the flaky", "waits now"]),
        ("something of quite another kind", []),
        (None, []),
    ],
)
def test_a_handler_is_told_what_was_tried(
    context: Context, payload: Any, expected: list[str]
) -> None:
    tried(context, "fix the flaky retry test", Outcome(DONE, "waits now"))
    role = context.config.role("fixer")
    assert role is not None
    for memory in (Calls(context), Broken()):
        handler = Begun()
        around = WithHistory(cast("TaskHandler", handler), role, cast("Memory", memory))
        claim = Claim(9, 1, "fixer", "fix", payload, 1, 3, Moment("b", 0), None, "", "", "")
        around.begin(claim)
        (begun,) = handler.claims
        lines = expected if isinstance(memory, Calls) else []
        assert bool(begun.history) == bool(lines)
        assert all(line in begun.history for line in lines)
