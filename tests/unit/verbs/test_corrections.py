"""A correction keeps all that it does not mention, whichever way it is made."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.projects.discovery import identify
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
OLD, NEW = "The freeze lets only hotfixes out.", "The freeze lets hotfixes and docs out."
SAID = {
    "title": "Release freeze", "tags": ["release", "rule"], "kind": "decision", "salience": 0.9,
    "decay": 0.25, "source": "mail of Ada", "valid_from": "2026-11-01", "valid_until": "2100-01-02",
}  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    tree = tmp_path / "shop"
    tree.mkdir()
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    (tree / "limits.py").write_text("MOST = 3\n")
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    session = SessionInfo(
        id="s", actor="ada", cwd=str(tree), project=identify(str(tree), str(tmp_path))
    )
    made = Context(config, session, socket_path=None, make_embedder=lambda: None, grant=OPERATOR)
    yield made
    made.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def whole(context: Context, entry: str) -> dict[str, Any]:
    (found,) = call(context, "memory.get", ids=[entry])["entries"]
    return found


def supersede(context: Context, content: str, old: str, **args: Any) -> dict[str, Any]:
    return call(context, "memory.supersede", id=old, content=content, **args)


def remember(context: Context, content: str, old: str, **args: Any) -> dict[str, Any]:
    return call(context, "memory.remember", content=content, supersedes=[old], **args)


WAYS = pytest.mark.parametrize("correct", [supersede, remember])


def told(entry: dict[str, Any]) -> dict[str, Any]:
    changes = ("id", "content", "created_at", "updated_at", "provenance", "commit", "superseded_by")
    return {name: value for name, value in entry.items() if name not in changes}


@WAYS
@pytest.mark.parametrize("where", [{}, {"everywhere": True}, {"namespace": "team"}])
def test_what_is_not_mentioned_stays(context: Context, correct: Any, where: dict[str, Any]) -> None:
    old = call(context, "memory.remember", content=OLD, about=["limits.py::MOST"], **SAID, **where)
    call(context, "memory.pin", ids=[old["id"]])
    new = correct(context, NEW, old["id"])
    assert told(whole(context, new["id"])) == told(whole(context, old["id"]))
    (entry,) = context.store.entries.get([int(new["id"][1:])])
    (before,) = context.store.entries.get([int(old["id"][1:])])
    assert (entry.project, entry.decay) == (before.project, 0.25)
    (reference,) = context.store.references.of([entry.id])[entry.id]
    assert (reference.path, reference.name) == ("limits.py", "MOST")


@WAYS
@pytest.mark.parametrize(
    ("args", "now"),
    [
        ({"title": "Freeze"}, {"title": "Freeze"}),
        ({"tags": []}, {"tags": None}),
        ({"kind": "semantic"}, {"kind": "semantic", "salience": 0.5, "decay_per_day": 0.005}),
        ({"salience": 0.1}, {"salience": 0.1, "kind": "decision"}),
        ({"source": "minutes"}, {"source": "minutes"}),
        ({"source": ""}, {"source": None}),
        ({"valid_until": "2099-01-01"}, {"valid_until": "2099-01-01T00:00:00Z"}),
        ({"valid_until": ""}, {"valid_until": None, "valid_from": "2026-11-01T00:00:00Z"}),
    ],
)
def test_what_is_mentioned_changes(
    context: Context, correct: Any, args: dict[str, Any], now: dict[str, Any]
) -> None:
    old = call(context, "memory.remember", content=OLD, **SAID)
    before = told(whole(context, old["id"]))
    new = told(whole(context, correct(context, NEW, old["id"], **args)["id"]))
    differs = {name for name in before | new if before.get(name) != new.get(name)}
    assert {name: new.get(name) for name in now} == now
    assert differs <= set(now)


@WAYS
def test_a_title_does_not_stay_with_what_is_no_longer_said(context: Context, correct: Any) -> None:
    old = call(context, "memory.remember", content="Port 8080 is the API's.", title="API on 8080")
    new = correct(context, "Port 9090 is the API's.", old["id"])
    assert "title" not in whole(context, new["id"])
    assert any("title" in note for note in new["notes"])


@WAYS
def test_a_declared_value_stays_where_the_text_has_it(context: Context, correct: Any) -> None:
    old = call(context, "memory.remember", content="MOST is 2.", about=["limits.py::MOST=2"])
    new = correct(context, "MOST is 3 since the freeze.", old["id"])
    number = int(new["id"][1:])
    assert [one.value for one in context.store.references.of([number])[number]] == [None]
    again = correct(context, "Let it be 3.", new["id"], about=["limits.py::MOST=3"])
    last = correct(context, "It is 3, be it a freeze or not.", again["id"])
    number = int(last["id"][1:])
    assert [one.value for one in context.store.references.of([number])[number]] == ["3"]


@WAYS
def test_a_correction_of_what_is_over_says_so(context: Context, correct: Any) -> None:
    old = call(context, "memory.remember", content=OLD, valid_until="2001-01-01")
    new = correct(context, NEW, old["id"])
    assert any("It held until 2001-01-01" in note for note in new["notes"])
    with pytest.raises(InvalidInput, match="valid_until is not after valid_from") as caught:
        correct(context, "Another one.", new["id"], valid_from="2002-01-01")
    assert "give both" in caught.value.hint


def test_several_leave_what_they_have_in_common(context: Context) -> None:
    first = call(context, "memory.remember", content=OLD, **SAID)["id"]
    other = {**SAID, "tags": ["docs", "rule"], "salience": 0.2, "valid_until": "2101-01-01"}
    second = call(context, "memory.remember", content=NEW, **other, everywhere=True)["id"]
    new = call(
        context, "memory.remember", content="All may go in a freeze.", supersedes=[first, second]
    )
    entry = whole(context, new["id"])
    assert entry["tags"] == ["release", "rule", "docs"]
    assert (entry["kind"], entry["salience"], entry["title"]) == ("decision", 0.5, "Release freeze")
    assert "valid_until" not in entry
    assert context.store.entries.get([3])[0].project is None


def test_only_its_end_may_be_corrected(context: Context) -> None:
    old = call(context, "memory.remember", content=OLD, **SAID)["id"]
    new = supersede(context, OLD, old, valid_until="2099-01-01")
    assert new["id"] != old
    assert whole(context, new["id"])["valid_until"] == "2099-01-01T00:00:00Z"
    again = call(
        context, "memory.remember", content=OLD, title=SAID["title"], valid_until="2098-01-01"
    )
    assert again["not_taken"] == {"valid_until": "2098-01-01"}


def test_undo_takes_the_pin_back_that_another_one_has_got(context: Context) -> None:
    old = call(context, "memory.remember", content=OLD)["id"]
    new = call(context, "memory.remember", content=NEW)["id"]
    call(context, "memory.pin", ids=[old])
    call(context, "graph.link", **{"from": new, "kind": "supersedes", "to": old})
    assert whole(context, new)["pinned"]
    call(context, "memory.undo")
    assert "pinned" not in whole(context, new)
    assert whole(context, old)["pinned"]
