"""The verbs of links: what they take, what they answer, and the walls on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import AGENT, Grant, confined_to
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
DAY = 86_400.0


class Desk:
    """Contexts of sessions that share one store and one clock."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = time.time()
        self._path = tmp_path
        self._made: list[Context] = []

    def context(self, grant: Grant = AGENT) -> Context:
        config = from_dict({"store": {"path": str(self._path / "khive.db")}})
        info = SessionInfo(id="s", actor="ada", cwd=str(self._path))
        made = Context(
            config, info, socket_path=None, make_embedder=lambda: None, grant=grant,
            wall_clock=lambda: self.now,
        )  # fmt: skip
        self._made.append(made)
        return made

    def close(self) -> None:
        for one in self._made:
            one.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return dict(REGISTRY.call(context, verb, args))


def remember(context: Context, *contents: str, namespace: str | None = None) -> list[str]:
    more = {"namespace": namespace} if namespace else {}
    return [str(call(context, "memory.remember", content=one, **more)["id"]) for one in contents]


def link(context: Context, start: str, kind: str, end: str, **more: str) -> dict[str, Any]:
    return call(context, "graph.link", **{"from": start, "kind": kind, "to": end, **more})


def near(context: Context, of: str, **args: Any) -> list[tuple[str, str, int]]:
    found = call(context, "graph.neighbors", of=of, **args)["neighbors"]
    return [(one["link"], one["id"], one["depth"]) for one in found]


def test_links_are_read_from_both_ends_and_end(desk: Desk) -> None:
    context = desk.context()
    a, b, c = remember(context, "The parser needs the lexer.", "The lexer is C.", "It was slow.")
    assert link(context, a, "depends_on", b)["status"] == "linked"
    assert link(context, a, "depends_on", b)["status"] == "known"
    link(context, b, "caused_by", c)
    assert near(context, a) == [("depends_on", b, 1)]
    assert near(context, b) == [("needed_by", a, 1), ("caused_by", c, 1)]
    assert near(context, a, depth=2) == [("depends_on", b, 1), ("caused_by", c, 2)]
    assert near(context, b, kinds=["needed_by"]) == [("needed_by", a, 1)]
    assert near(context, b, kinds=["depends_on"]) == []
    way = call(context, "graph.path", **{"from": a, "to": c})
    assert [(one["link"], one["id"]) for one in way["path"]] == [
        ("depends_on", b), ("caused_by", c),
    ]  # fmt: skip
    back = {"from": c, "to": a, "kinds": ["depends_on", "caused_by"]}
    assert not call(context, "graph.path", **back)["found"]
    ended = call(context, "graph.unlink", **{"from": a, "kind": "depends_on", "to": b})
    assert ended["status"] == "unlinked"
    assert near(context, a) == []
    assert near(context, a, ended=True) == [("depends_on", b, 1)]
    with pytest.raises(NotFound, match="No link"):
        call(context, "graph.unlink", **{"from": a, "kind": "depends_on", "to": b})


def test_a_link_holds_from_and_until_when_it_is_said_to(desk: Desk) -> None:
    context = desk.context()
    a, b = remember(context, "The site runs on the old host.", "The old host is in Ulm.")
    end = forms.timestamp(desk.now + 20 * DAY)
    link(context, a, "depends_on", b, valid_from="30d", valid_until=end)
    assert near(context, a) == [("depends_on", b, 1)]
    desk.now += 30 * DAY
    assert near(context, a) == []
    assert near(context, a, as_of="20d") == near(context, a, ended=True)
    assert near(context, a, as_of="20d") == [("depends_on", b, 1)]
    assert near(context, a, as_of="90d") == near(context, a, as_of="1d") == []
    call(context, "memory.forget", ids=[b])
    assert near(context, a, ended=True) == near(context, a, as_of="20d") == []


def test_superseding_by_a_link_takes_the_old_one_out_and_is_undone_as_such(desk: Desk) -> None:
    context = desk.context()
    old, new = remember(context, "We deploy on Fridays.", "We deploy on Mondays, since March.")
    assert link(context, new, "supersedes", old)["status"] == "linked"
    assert link(context, new, "supersedes", old)["status"] == "known"
    assert near(context, new) == [("supersedes", old, 1)]
    (back,) = call(context, "graph.neighbors", of=old)["neighbors"]
    assert (back["link"], back["id"]) == ("superseded_by", new)
    with pytest.raises(InvalidInput, match="not brought back"):
        call(context, "graph.unlink", **{"from": new, "kind": "supersedes", "to": old})
    call(context, "memory.undo")
    assert near(context, new) == []


@pytest.mark.parametrize(
    ("kind", "to", "said"),
    [
        ("produced", "m2", "an execution"),
        ("retry_of", "m2", "an execution"),
        ("needed_by", "m2", "needed_by"),
        ("loves", "m2", "loves"),
        ("depends_on", "m1", "both ends"),
        ("depends_on", "src/x.py", "leads to an entry"),
    ],
)
def test_a_wrong_link_is_refused_in_words(desk: Desk, kind: str, to: str, said: str) -> None:
    context = desk.context()
    remember(context, "One.", "Two.")
    with pytest.raises(InvalidInput, match=said) as refused:
        link(context, "m1", kind, to)
    assert refused.value.hint


def test_an_entry_is_linked_with_code_as_with_entries(desk: Desk, tmp_path: Path) -> None:
    context = desk.context()
    (tmp_path / "x.py").write_text("LIMIT = 3\n")
    (a,) = remember(context, "The limit is three.")
    assert link(context, a, "about", "x.py::LIMIT=3")["to"] == "x.py::LIMIT=3"
    assert call(context, "graph.neighbors", of=a)["about"] == ["x.py::LIMIT=3"]
    call(context, "graph.unlink", **{"from": a, "kind": "about", "to": "x.py::LIMIT"})
    assert "about" not in call(context, "graph.neighbors", of=a)
    with pytest.raises(NotFound):
        call(context, "graph.unlink", **{"from": a, "kind": "about", "to": "x.py::LIMIT"})


def test_nothing_leads_through_what_a_confined_session_does_not_have(desk: Desk) -> None:
    user, acme = desk.context(), desk.context(confined_to("acme"))
    a, b = remember(user, "Ours.", "Ours, too.", namespace="acme")
    (hidden,) = remember(user, "Theirs.", namespace="beta")
    link(user, a, "depends_on", hidden)
    link(user, hidden, "depends_on", b)
    assert call(user, "graph.path", **{"from": a, "to": b})["length"] == 2
    assert near(acme, a, depth=6) == near(acme, b, depth=6) == []
    assert not call(acme, "graph.path", **{"from": a, "to": b})["found"]
    unknown, other = "m99", hidden
    for end in (unknown, other):
        with pytest.raises(NotFound, match=f"There is no entry {end}"):
            call(acme, "graph.path", **{"from": a, "to": end})
        with pytest.raises(NotFound, match=f"There is no entry {end}"):
            link(acme, a, "depends_on", end)
    # The circle that this closes leads through what is not there for them.
    assert link(acme, b, "depends_on", a)["status"] == "linked"
    with pytest.raises(InvalidInput, match="circles"):
        link(user, hidden, "depends_on", a)


def followed(context: Context, query: str, *readings: str, **more: Any) -> list[tuple[str, str]]:
    found = call(context, "memory.recall", query=query, follow=list(readings), **more)["results"]
    return [(one["id"], one.get("via", "")) for one in found]


def test_recall_brings_what_replaced_a_decision_and_what_results_are_linked_with(
    desk: Desk,
) -> None:
    context = desk.context()
    old, new, third, far = remember(
        context,
        "We deploy the billing service on Fridays at noon.",
        "Releases go out whenever main is green.",
        "The notes are written by hand.",
        "Nobody reads them.",
    )
    question = "deploy the billing service Fridays noon"
    assert followed(context, question, "superseded_by") == [(old, "")]
    link(context, new, "supersedes", old)
    link(context, third, "depends_on", new)
    link(context, third, "caused_by", far)
    assert call(context, "memory.recall", query=question)["results"] == []
    assert followed(context, question, "superseded_by") == [(new, f"replaced {old}")]
    both = [(new, f"replaced {old}"), (third, f"{new} needed_by it")]
    assert followed(context, question, "superseded_by", "needed_by", "caused_by") == both
    assert followed(context, question, "superseded_by", namespace="elsewhere") == []
    call(context, "memory.forget", ids=[new])
    assert followed(context, question, "superseded_by") == []
    with pytest.raises(InvalidInput, match="as_of and follow"):
        followed(context, question, "superseded_by", as_of="1d")
