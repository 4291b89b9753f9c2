"""A confined session and the rest of the store: nothing passes, whatever is asked, in no words.

Each verb is called with whatever its arguments can name, in two stores that differ only in what
another namespace holds. The answers have to be the same. The verbs come from the registry, so a new
one is tested without a word here; a new kind of argument has to be given its probes.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest
from confinement_probes import FOREIGN, FOREIGN_TASKS, GIVEN, MARK, OWN_TASKS, PROBES

from khive_supervisor.access.grant import OPERATOR, Grant, confined_to
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, KhiveError, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.profiles.model import DEFAULT
from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.model import Candidate, JournalEvent
from khive_supervisor.store.model import EVERYTHING
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, Outcome, RoleRow
from khive_supervisor.verbs.confined.store import confined_store
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.registry import Pack, Registry, Verb

REGISTRY = loading.load()
ACME, BETA = confined_to("acme"), Grant(namespaces=("beta",), home="beta")
#: Numbers and names that differ from call to call.
VOLATILE = ("serve", "score", "created_at", "updated_at", "forgotten_at", "at", "last", "event",
            "run", "asked_at", "expires_at", "started_at", "began_at", "ended_at", "seconds",
            "deadline", "bytes", "next")  # fmt: skip
#: The name of an attempt, which has that of its store in it.
ATTEMPT = re.compile(r"attempt:[0-9a-f]{8}")


@dataclass
class Place:
    """A store, what a confined session calls in it, and what the user does."""

    acme: Context
    user: Context

    def close(self) -> None:
        self.acme.close()
        self.user.close()

    def own(self) -> None:
        call(self.acme, "memory.remember", content="The first own words.", tags=["own"])
        call(self.acme, "knowledge.learn", entries=[{"content": "Own words of a document."}])
        call(self.acme, "memory.remember", content="The second own words, and more.")
        call(self.acme, "agents.assign", role="writer", payload=1, idempotency_key="own-key")
        call(self.acme, "agents.assign", role="writer", payload=2)
        self.end(Outcome(DONE, "own result"))

    def end(self, outcome: Outcome) -> None:
        tasks = self.user.store.tasks
        claim = tasks.claim(Claimant("writer", "w", 1, "d"), lease.now())
        assert claim is not None
        assert tasks.finish(claim.id, claim.token, outcome, lease.now()).accepted

    def foreign_journal(self, session: Context, namespace: str) -> None:
        said = f"{MARK} own words"
        event = JournalEvent("codex", "b", "prompt", "user", said, namespace=namespace)
        session.store.journal.append([event])
        found = Candidate("r", "decision", said, "codex", "b", "user", namespace=namespace)
        session.store.capture.propose([found])

    def foreign(self, session: Context) -> None:
        """What another namespace holds: everything in it has the mark."""
        text = f"{MARK} words of memory"
        call(session, "memory.remember", content=text, title=f"{MARK} headline",
             tags=[f"{MARK}-tag"], kind=MARK, source=f"/home/{MARK}")  # fmt: skip
        call(session, "knowledge.learn", entries=[{"content": f"{MARK} words of a document"}])
        call(session, "memory.remember", content=f"{MARK} was forgotten")
        text = {"content": f"{MARK} in a file", "title": f"{MARK} headline"}
        source = {"source": f"/home/{MARK}", "entries": [text], "digest": "1" * 32}
        call(session, "knowledge.sync", sources=[source])
        call(session, "memory.forget", ids=["m7"])
        self.foreign_journal(session, session.namespace(None))
        for number in range(3):
            call(session, "agents.assign", role="writer", payload=f"{MARK} payload",
                 priority=10 - number, idempotency_key=f"{MARK}-key-{number}")  # fmt: skip
        call(self.user, "agents.assign", role="writer", payload=MARK, idempotency_key=f"{MARK}-key",
             deadline="30m", priority=9)  # fmt: skip
        self.end(Outcome(DONE, f"{MARK} result"))
        call(self.user, "brain.create_profile", name=f"{MARK}-profile", description=MARK)
        call(self.user, "brain.bind", name=f"{MARK}-profile", namespace="beta")
        call(session, "brain.feedback", target="m5", signal="useful")
        call(session, "hooks.event", event="UserPromptSubmit", prompt=f"{MARK} words of memory")
        calls = [{"verb": "memory.get", "args": {"ids": ["m5"]}}]
        call(session, "batch.run", calls=calls, key=f"{MARK}-key")
        # Somebody who has both namespaces has linked them: round from m3 to m1, too.
        for start, end in (("m3", "m5"), ("m5", "k6"), ("m7", "m1"), ("k6", "m1")):
            call(self.user, "graph.link", **{"from": start, "kind": "depends_on", "to": end})
        steps = [{"name": "one", "role": "writer", "payload": MARK, "approve": True}]
        call(session, "workflow.run", definition={"name": MARK, "steps": steps},
             input={MARK: 1}, idempotency_key=f"{MARK}-key")  # fmt: skip
        cron = {"every": "0 0 1 1 *", "role": "writer", "payload": MARK}
        call(self.user, "agents.assign", **cron)

    def number_from(self, number: int) -> None:
        """Have the next entries and tasks numbered from here."""
        database = self.user.store.tasks._database  # type: ignore[attr-defined]  # no store lets its numbers be chosen
        database.rows("UPDATE sqlite_sequence SET seq = ?", [number - 1])
        for table in ("approvals", "workflow_runs", "schedules"):  # which may have had no row yet
            database.rows("DELETE FROM sqlite_sequence WHERE name = ?", [table])
            database.rows("INSERT INTO sqlite_sequence VALUES (?, ?)", [table, number - 1])

    def state(self) -> list[Any]:
        """All that the other namespace holds, as it is."""
        store = self.user.store
        return [
            store.entries.get([5, 6, 7, 8, 9]),
            store.sources.below("beta", "/"),
            [store.tasks.find(number) for number in (3, 4, 5, 6, 7)],
            store.workflows.find(1),
            store.workflows.approval(1),
            store.schedules.all(),
            store.profiles.find(f"{MARK}-profile"),
            store.bindings.all(),
            {name: n for name, n in store.entries.namespaces().items() if name != "acme"},
        ]


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def make(path: Path, grant: Grant, session: str) -> Context:
    config = from_dict({"store": {"path": str(path / "khive.db")}})
    info = SessionInfo(
        id=session, cwd="/", actor="ada", environment={"CLAUDE_CODE_SESSION_ID": session}
    )
    return Context(config, info, socket_path=None, make_embedder=lambda: None, grant=grant)


def place(path: Path) -> Place:
    path.mkdir()
    found = Place(make(path, ACME, "a"), make(path, OPERATOR, ""))
    found.user.store.roles.set([RoleRow("writer", ("write",))])
    found.own()
    return found


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """Two stores with the same of one's own; the first has another namespace, too."""
    shared, alone = place(tmp_path / "shared"), place(tmp_path / "alone")
    other = make(tmp_path / "shared", BETA, "b")
    shared.foreign(other)
    for one in (shared, alone):  # what is new has the same numbers in both
        one.number_from(100)
    yield shared, alone
    for one in (shared, alone, other):
        one.close()


def said(context: Context, verb: str, args: dict[str, Any]) -> str:
    """What a call comes to, as text, without what is another one at each call."""
    try:
        found: Any = call(context, verb, **args)
    except KhiveError as error:
        found = {"error": error.as_dict()}
    return ATTEMPT.sub("attempt", json.dumps(_lasting(found), sort_keys=True))


def _lasting(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _lasting(one) for name, one in found.items() if name not in VOLATILE}
    return [_lasting(one) for one in found] if isinstance(found, list) else found


def calls(verb: Verb) -> Iterator[dict[str, Any]]:
    """A verb with each of its arguments in turn, and each of what that can name."""
    base = {name: GIVEN[name] for name in verb.properties
            if name in verb.required or name in ("timeout", "after")}  # fmt: skip
    if verb.name == "agents.assign":
        del base["after"]
    if verb.name in ("agents.assign", "agents.wait"):
        base |= {"role": "writer"} if verb.name == "agents.assign" else {"task": "t1"}
    yield base
    for name in verb.properties:
        for value in PROBES[name]:
            yield {**base, name: value}
            if verb.name == "agents.assign" and name == "task_type":
                yield {name: value}


AGENTS = list(REGISTRY.within(ACME))


@pytest.mark.parametrize("verb", list(REGISTRY), ids=lambda verb: verb.name)
def test_every_argument_has_its_probes(verb: Verb) -> None:
    if verb in AGENTS:
        assert not verb.properties.keys() - PROBES.keys(), "say in PROBES what it can name"


@pytest.mark.parametrize("verb", AGENTS, ids=lambda verb: verb.name)
def test_another_namespace_makes_no_difference(places: tuple[Place, Place], verb: Verb) -> None:
    shared, alone = places
    before = shared.state()
    for args in calls(verb):
        here, there = said(shared.acme, verb.name, args), said(alone.acme, verb.name, args)
        assert here == there, args
    assert shared.state() == before


def test_the_two_namespaces_hold_what_they_should(places: tuple[Place, Place]) -> None:
    shared, alone = places
    everything = json.dumps(call(shared.user, "agents.tasks"))
    assert shared.user.store.entries.namespaces() == {"acme": 4, "beta": 4}
    assert alone.user.store.entries.namespaces() == {"acme": 4}
    assert all(task in everything for task in (*OWN_TASKS, *FOREIGN_TASKS))
    assert MARK in json.dumps(call(shared.user, "memory.get", ids=list(FOREIGN)))
    assert call(shared.acme, "agents.task", task="t1")["result"] == "own result"


def test_what_is_not_there_and_what_is_elsewhere_are_one_error(
    places: tuple[Place, Place],
) -> None:
    acme = places[0].acme
    for verb, name in (("memory.get", "ids"), ("memory.forget", "ids"), ("memory.restore", "ids")):
        errors = []
        for one in ("m5", "m99"):
            with pytest.raises(NotFound) as caught:
                call(acme, verb, **{name: [one]})
            errors.append(str(caught.value).replace(one, "X"))
        assert errors[0] == errors[1]


def test_a_confined_session_has_no_other_default(tmp_path: Path) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    info = SessionInfo(id="a", namespace="beta")
    context = Context(config, info, socket_path=None, make_embedder=lambda: None, grant=ACME)
    try:
        assert call(context, "memory.remember", content="where?")["namespace"] == "acme"
        assert call(context, "system.status")["session"]["confined_to"] == ["acme"]
    finally:
        context.close()


def test_who_is_confined_to_nothing_reaches_nothing(places: tuple[Place, Place]) -> None:
    acme = places[0].acme
    acme.grant = Grant(namespaces=())
    with pytest.raises(Denied, match="exclude each other"):
        call(acme, "memory.recall", query="words")
    with pytest.raises(NotFound):
        call(acme, "memory.get", ids=["m1"])


# --- the store in its place -----------------------------------------------------------------------


def methods(protocol: type) -> list[str]:
    return sorted(
        name
        for name, member in inspect.getmembers(protocol)
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    )


FACETS = {name: facet for name, facet in get_type_hints(Store).items() if facet is not str}
#: What a confined session has, of the store and of each facet; of all else it is told that it is
#: not for it.
ALLOWED = {
    "": {"change_token", "data_version", "transaction"},
    "entries": {
        "add", "annotate", "filter_ids", "forget", "get", "known", "live_count", "live_ids",
        "members", "not_holding", "page", "provenances", "recent", "replace", "restore",
        "supersede",
    },
    "batches": {"find", "note"},
    "links": {"add", "along", "end", "history", "of"},
    "references": {"add", "of", "remove"},
    "sources": {
        "begin_run", "below", "beside", "embedded", "end", "named", "of", "say", "with_digests",
    },
    "projects": {"counts"},
    "lists": {"count", "counts", "faded", "ids", "page", "pin", "pinned", "tags"},
    "changes": {"recent", "recorded", "recorded_projects", "undo"},
    "journal": {
        "append", "captured", "count", "learned", "note_learned", "of_session", "search",
        "sessions",
    },
    "capture": {"allowed", "candidate", "candidates", "decide", "propose"},
    "client_sessions": {"find", "note", "page"},
    "injections": {"add", "judge", "of_entry", "of_session"},
    "feedback": {"record", "record_many"},
    "tasks": {
        "assign", "cancel", "events", "feedback", "find", "last_event", "page", "queue_depths",
        "retry",
    },
    "roles": {"all", "records"},
    "executions": {"days", "of", "of_tasks", "page"},
    "budgets": {"blocked"},
    "routing": {"breakers", "records"},
    "workflows": {
        "approvals", "begin", "cancel", "find", "held", "page", "retry", "step_of", "tasks",
    },
}  # fmt: skip


class Anything:
    """A store that has whatever it is asked for."""

    path = "/"

    def __getattr__(self, name: str) -> Any:
        return Anything()


def refusal(found: Any, path: str) -> str:
    """Return why a confined session does not get what a path names; empty: it gets it."""
    try:
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
    except Denied as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("facet", "name"),
    [(facet, name) for facet, of in {"": Store, **FACETS}.items() for name in methods(of)],
)
def test_a_new_method_is_refused_until_it_was_thought_about(facet: str, name: str) -> None:
    store = confined_store(cast("Store", Anything()), ACME, set)
    path = f"{facet}.{name}".strip(".")
    if name in ALLOWED.get(facet, ()):
        assert not refusal(store, path)
    else:
        assert "is about all namespaces" in refusal(store, path)


def test_a_new_facet_is_refused_until_it_was_thought_about() -> None:
    store = confined_store(cast("Store", Anything()), ACME, set)
    assert FACETS.keys() >= ALLOWED.keys() - {""}
    for name in {*FACETS, "what_comes_next"}:
        assert bool(refusal(store, name)) == (name not in ALLOWED)


@pytest.mark.parametrize("facet", [name for name in ALLOWED if name])
def test_nothing_is_confined_that_a_facet_does_not_have(facet: str) -> None:
    assert ALLOWED[facet] <= set(methods(FACETS[facet]))


def test_the_store_by_its_methods(places: tuple[Place, Place]) -> None:
    whole = places[0].user.store
    store = confined_store(whole, ACME, lambda: {DEFAULT})
    foreign = whole.entries.get([5, 6, 7, 9])
    assert [entry.id for entry in store.entries.get([1, 5, 2, 6, 7, 9])] == [1, 2]
    assert store.entries.known(entry.content_hash for entry in foreign) == {}
    assert store.entries.forget([5, 6]) == []
    assert store.entries.restore([7]) == []
    assert {entry.namespace for entry in [*store.entries.recent(), *store.entries.page()]} == {
        "acme"
    }
    assert store.entries.live_count() == 4
    assert store.entries.live_ids(EVERYTHING, 100) == [1, 2, 3, 4]
    assert store.entries.filter_ids(range(10)) == {1, 2, 3, 4}
    assert [one.entry for one in store.executions.page()] == [4]
    assert store.executions.of([4, 9]).keys() == {4}
    assert [one.entry for one in store.executions.of_tasks([1, 3])] == [4]
    assert sum(day.executions for day in store.executions.days()) == 1
    assert {task.namespace for task in store.tasks.page()} == {"acme"}
    assert {event.task_id for event in store.tasks.events()} == {1, 2}
    for refused in (store.tasks.cancel, store.tasks.retry):
        with pytest.raises(NotFound):
            refused(3)
    with pytest.raises(NotFound):
        store.tasks.feedback(3, 0.0)
    assert whole.entries.get([5, 6, 7, 9]) == foreign


def test_a_foreign_packs_verb_gets_the_confined_store(places: tuple[Place, Place]) -> None:
    def peek(context: Context, _args: Any) -> dict[str, Any]:
        return {"seen": [entry.content for entry in context.store.entries.get(range(1, 10))]}

    def count(context: Context, _args: Any) -> dict[str, Any]:
        return dict(context.store.entries.namespaces())

    registry = Registry(
        [Pack("x", "x", (Verb("x.peek", "Peek.", peek), Verb("x.count", "Count.", count)))]
    )
    assert MARK not in json.dumps(registry.call(places[0].acme, "x.peek", {}))
    with pytest.raises(Denied):
        registry.call(places[0].acme, "x.count", {})
    assert MARK in json.dumps(registry.call(places[0].user, "x.peek", {}))


def test_keys_are_each_namespaces_own(places: tuple[Place, Place]) -> None:
    shared = places[0]
    key = {"role": "writer", "payload": "ours", "idempotency_key": f"{MARK}-key"}
    first = call(shared.acme, "agents.assign", **key)
    assert first["created"]
    assert call(shared.acme, "agents.assign", **key)["task"] == first["task"]
    assert call(shared.acme, "agents.task", task=first["task"])["idempotency_key"] == f"{MARK}-key"
    with pytest.raises(KhiveError, match=f"'{MARK}-key' belongs to task {first['task']}"):
        call(shared.acme, "agents.assign", **{**key, "payload": "another"})
    again = call(shared.user, "agents.assign", role="writer", payload=MARK,
                 idempotency_key=f"{MARK}-key", deadline="30m", priority=9)  # fmt: skip
    assert not again["created"]


def test_a_failed_task_of_its_own_is_retried(places: tuple[Place, Place]) -> None:
    shared = places[1]
    shared.end(Outcome(FAILED, error="no", final=True))
    assert call(shared.acme, "agents.retry", task="t2")["state"] == "queued"
