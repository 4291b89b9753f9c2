"""Projects as sessions see them: apart, counted when nothing fits, and put right by an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.model import EntryFilter, SaidBy
from khive_supervisor.text.analysis import match_expression
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
Make = Callable[..., Context]
#: Hints that sessions gave to a supervisor.
Hints = list[dict[str, object]]


def identity(name: str) -> ProjectIdentity:
    mark = f"git:/{name}/.git"
    return ProjectIdentity(name, mark, mark, (f"node:1:{len(name)}",), "main", "c" * 40)


ALPHA, BETA = identity("alpha"), identity("betas")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes contexts of sessions that share one store."""
    made: list[Context] = []

    def context(
        project: ProjectIdentity | None = None, grant: Grant = AGENT, **more: Any
    ) -> Context:
        config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
        info = SessionInfo(id="s1", project=project, **more)
        made.append(
            Context(config, info, socket_path=None, make_embedder=lambda: None, grant=grant)
        )
        return made[-1]

    yield context
    for one in made:
        one.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def recalled(context: Context, **args: Any) -> dict[str, str | None]:
    answer = call(context, "memory.recall", query="Which port?", **args)
    return {one["content"]: one.get("project") for one in answer["results"]}


def test_each_project_has_its_own_and_what_is_for_every_one(make: Make) -> None:
    alpha, beta, home = make(ALPHA), make(BETA), make()
    call(home, "memory.remember", content="port of home")
    call(alpha, "memory.remember", content="port of alpha")
    call(beta, "memory.remember", content="port of beta")
    call(beta, "memory.remember", content="port of all", everywhere=True)
    every = {"port of home": None, "port of all": None}
    assert recalled(alpha) == {**every, "port of alpha": None}
    assert recalled(make(ALPHA)) == {**every, "port of alpha": None}
    assert recalled(beta) == {**every, "port of beta": None}
    assert recalled(home) == every
    assert recalled(alpha, scope="user") == every
    labelled = {**every, "port of alpha": "alpha", "port of beta": "betas"}
    assert recalled(alpha, scope="all") == recalled(home, scope="all") == labelled
    answer = call(alpha, "knowledge.search", query="port", **{"in": "all"})
    assert {one["content"] for one in answer["results"]} == {*every, "port of alpha"}


def test_what_would_fit_elsewhere_is_counted_and_not_shown(make: Make) -> None:
    alpha, beta = make(ALPHA), make(BETA)
    for number in range(3):
        call(beta, "memory.remember", content=f"kettle {number}")
    answer = call(alpha, "memory.recall", query="kettle")
    assert answer["results"] == []
    assert answer["notes"] == [
        'Nothing here fits; 3 of other projects would: scope = "all" asks them.'
    ]
    nothing = call(alpha, "memory.recall", query="umbrella")
    assert "notes" not in nothing
    assert alpha.counts()["searches"] == 2  # what was only counted is no search
    confined = make(ALPHA, confined_to("acme"))
    assert "notes" not in call(confined, "memory.recall", query="kettle")


def test_the_supervisor_hears_of_a_project_that_is_new(make: Make) -> None:
    alpha, heard = make(ALPHA), Hints()
    alpha.hint = lambda hint: heard.append(dict(hint))
    for content in ("one", "two"):
        call(alpha, "memory.remember", content=content)
    assert heard == [{"hint": "projects"}]
    with pytest.raises(InvalidInput):
        call(make(BETA), "memory.remember", content=" ")
    assert [one["name"] for one in call(alpha, "projects.list")["projects"]] == ["alpha"]


def test_a_merge_is_seen_by_a_session_that_runs(make: Make) -> None:
    alpha, beta, operator = make(ALPHA), make(BETA), make(grant=OPERATOR)
    call(alpha, "memory.remember", content="port of alpha")
    call(beta, "memory.remember", content="port of beta")
    assert len(recalled(alpha)) == len(recalled(beta)) == 1
    assert call(operator, "projects.merge", into="alpha", project="betas")["merged"] == "betas"
    assert len(recalled(alpha)) == len(recalled(beta)) == 2
    with pytest.raises(InvalidInput, match="one project already"):
        call(operator, "projects.merge", into="alpha", project="p2")


def test_a_memory_that_is_superseded_stays_in_its_project(make: Make) -> None:
    alpha, beta = make(ALPHA), make(BETA)
    old = call(alpha, "memory.remember", content="port 1")["id"]
    call(beta, "memory.supersede", id=old, content="port 2")
    assert recalled(alpha) == {"port 2": None}
    assert recalled(beta) == {}


def test_documents_belong_to_the_project_that_learned_them(make: Make) -> None:
    alpha, beta = make(ALPHA), make(BETA)
    for context, text in ((alpha, "port of alpha"), (beta, "port of beta")):
        call(context, "knowledge.learn", entries=[{"content": text, "source": "README"}])
    call(beta, "knowledge.learn", entries=[{"content": "port of all"}], everywhere=True)

    def searched(context: Context) -> set[str]:
        answer = call(context, "knowledge.search", query="port")
        return {one["content"] for one in answer["results"]}

    assert searched(alpha) == {"port of alpha", "port of all"}
    assert searched(beta) == {"port of beta", "port of all"}
    call(alpha, "knowledge.retire", sources=["README"])
    assert searched(alpha) == {"port of all"}
    assert searched(beta) == {"port of beta", "port of all"}


def test_a_client_without_a_directory_may_name_a_project(make: Make) -> None:
    alpha, acme = make(ALPHA), make(BETA, confined_to("acme"))
    call(alpha, "memory.remember", content="port of alpha")
    call(acme, "memory.remember", content="port of acme")
    named = make(project_name="ALPHA")
    call(named, "memory.remember", content="another port of alpha")
    assert recalled(named) == recalled(alpha)
    assert set(recalled(alpha)) == {"port of alpha", "another port of alpha"}
    confined = make(grant=confined_to("acme"), project_name="betas")
    assert recalled(confined) == {"port of acme": None}
    for context in (
        make(project_name="gamma"),
        make(None, confined_to("acme"), project_name="alpha"),
    ):
        with pytest.raises(NotFound, match="no one project"):
            recalled(context)


def test_a_dry_run_stores_no_project(make: Make) -> None:
    alpha = make(ALPHA)
    source = {"source": "/x.md", "entries": [{"content": "port"}]}
    call(alpha, "knowledge.sync", sources=[source], dry_run=True)
    assert alpha.whole_store.projects.all() == []
    call(alpha, "knowledge.sync", sources=[source])
    assert [one.name for one in alpha.whole_store.projects.all()] == ["alpha"]


def test_who_said_it_is_told_in_one_line(make: Make) -> None:
    agent = make(ALPHA)
    agent.client = ("claude-code", "2.0")
    task = make(ALPHA, replace(AGENT, owners=("task-3",)), kind="task", role="writer")
    person = make(ALPHA, OPERATOR, kind="verbs", actor="ada")
    ids = [
        call(one, "memory.remember", content=f"said {number}")["id"]
        for number, one in enumerate((agent, task, person))
    ]
    ids += call(agent, "knowledge.learn", entries=[{"content": "a document"}])["ids"]
    entries = call(agent, "memory.get", ids=ids)["entries"]
    assert [one["provenance"] for one in entries] == [
        "said by agent claude-code 2.0 in session s1",
        "said by agent in task t3 of writer",
        "said by the user of actor ada in session s1",
        "learned by agent claude-code 2.0 in session s1",
    ]
    assert {(one["project"], one["branch"], one["commit"]) for one in entries} == {
        ("alpha", "main", "c" * 40)
    }


def test_what_others_stored_is_told_apart_from_what_one_said(make: Make) -> None:
    agent, person = make(ALPHA, actor="bob"), make(ALPHA, OPERATOR, kind="verbs", actor="ada")
    agent.client = ("claude-code", "2.0")
    call(agent, "memory.remember", content="port of agent")
    call(person, "memory.remember", content="port of person")
    call(make(BETA), "memory.remember", content="port of another project")

    def listed(**which: str) -> set[str]:
        return {one["content"] for one in call(agent, "memory.list", **which)["entries"]}

    assert listed() == {"port of agent", "port of person"}
    assert listed(by="person") == listed(actor="ada") == {"port of person"}
    assert listed(by="agent") == listed(client="claude-code") == {"port of agent"}
    assert listed(by="tool") == listed(by="agent", actor="ada") == set()
    assert listed(how="said") == listed(session=agent.session.id) == listed()
    assert listed(how="captured") == listed(session="x") == listed(from_task="t1") == set()
    assert listed(role="writer") == set()
    found = call(agent, "memory.recall", query="which port?", client="claude-code", floor=0)
    assert [one["content"] for one in found["results"]] == ["port of agent"]
    where = EntryFilter(by=SaidBy.PERSON)
    expression = match_expression(["port"])
    (found,) = agent.whole_store.full_text.match(expression, 9, where)
    assert agent.whole_store.entries.get([found[0]])[0].content == "port of person"


# --- putting it right -----------------------------------------------------------------------------


def test_projects_are_listed_renamed_and_told_apart(make: Make) -> None:
    alpha, operator = make(ALPHA), make(grant=OPERATOR)
    web, other = make(ALPHA.narrowed("web")), make(replace(BETA, name="alpha"))
    for number, context in enumerate((alpha, alpha, web, other, operator)):
        call(context, "memory.remember", content=f"port {number}")
    answer = call(alpha, "projects.list")
    assert answer == {
        "projects": [
            {"name": "alpha", "entries": 2, "places": ["/alpha"], "project": "p1", "here": True},
            {"name": "web", "entries": 1, "places": ["/alpha#web"], "project": "p2"},
            {"name": "alpha", "entries": 1, "places": ["/betas"], "project": "p3"},
        ],
        "everywhere": 1,
    }
    with pytest.raises(InvalidInput, match="Several projects are called 'alpha': p1, p3"):
        call(operator, "projects.rename", project="alpha", name="x")
    with pytest.raises(NotFound, match="no project 'gamma'"):
        call(operator, "projects.rename", project="gamma", name="x")
    for name in ("p7", "everywhere", "  "):
        with pytest.raises(InvalidInput, match="no name for a project"):
            call(operator, "projects.rename", project="p1", name=name)
    renamed = call(operator, "projects.rename", project="p1", name=" the  shop ")
    assert renamed == {"project": "p1", "name": "the shop", "was": "alpha"}
    confined = make(ALPHA, confined_to("acme"))
    assert call(confined, "projects.list") == {"projects": [], "everywhere": 0}
    call(confined, "memory.remember", content="port of ours")
    (shown,) = call(confined, "projects.list")["projects"]
    assert shown == {"name": "the shop", "entries": 1, "places": ["/alpha"], "here": True}


def test_entries_are_moved_by_ids_and_by_filters(make: Make) -> None:
    alpha, beta, operator = make(ALPHA), make(BETA), make(grant=OPERATOR)
    one = call(alpha, "memory.remember", content="port 1", tags=["x"])["id"]
    call(alpha, "memory.remember", content="port 2", tags=["x"])
    call(alpha, "memory.remember", content="port 3")
    call(beta, "memory.remember", content="port 4", tags=["x"])
    dry = call(operator, "projects.move", to="betas", tags=["x"], dry_run=True, **{"from": "alpha"})
    assert dry == {"moved": 0, "matched": 2, "to": "betas"}
    moved = call(operator, "projects.move", to="betas", tags=["x"], **{"from": "alpha"})
    assert moved["moved"] == 2
    assert recalled(alpha) == {"port 3": None}
    assert len(recalled(beta)) == 3
    call(operator, "projects.move", to="everywhere", ids=[one])
    assert recalled(alpha) == {"port 3": None, "port 1": None}
    call(operator, "projects.move", to="alpha", **{"from": "everywhere"})
    assert recalled(make()) == {}
    with pytest.raises(InvalidInput, match="ids or a filter"):
        call(operator, "projects.move", to="alpha")
