"""Exports taken into another store: equal stores, twice nothing new, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from secret_texts import SECRET

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.packs.curation import listing
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.curation import SECTIONS
from khive_supervisor.store.links import DEPENDS_ON, DERIVED_FROM
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, Outcome, RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
HERE = ProjectIdentity("here", "folder:/work/here", "folder:/work/here", branch="main")


def context_of(path: Path, **config: Any) -> Context:
    path.mkdir(exist_ok=True)
    read = from_dict({"store": {"path": str(path / "khive.db")}, **config})
    info = SessionInfo(id="s", actor="ada", project=HERE)
    return Context(read, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Context]:
    opened = context_of(tmp_path / "old")
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Context]:
    opened = context_of(tmp_path / "new")
    yield opened
    opened.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def fill(context: Context) -> None:
    """Something of each kind that an export has."""
    one = call(context, "memory.remember", content="the port is 8080", tags=["a", "b"])["id"]
    call(context, "memory.supersede", id=one, content="the port is 9090")
    gone = call(context, "memory.remember", content="forgotten", everywhere=True)["id"]
    call(context, "memory.forget", ids=[gone])
    kept = call(context, "memory.remember", content="deploys on Fridays", namespace="other")["id"]
    call(context, "memory.pin", ids=[kept])
    call(context, "knowledge.learn", entries=[{"content": "a page", "source": "/docs/page"}])
    call(context, "brain.create_profile", name="careful")
    call(context, "brain.bind", name="careful", actor="ada")
    call(context, "brain.feedback", target=kept, signal="useful")
    call(context, "brain.feedback", target="m2", signal="wrong", profile="careful")
    attempts(context, Outcome(FAILED, error="no port"), Outcome(DONE, "9090"))


def attempts(context: Context, *outcomes: Outcome) -> None:
    """Attempts at one task, one after the other."""
    store = context.store
    store.roles.set([RoleRow("fixer", ("fix",))])
    call(context, "agents.assign", role="fixer", payload="mend the port")
    for outcome in outcomes:
        now = lease.now().after(3600)
        claim = store.tasks.claim(Claimant("fixer", "w", 1, "d"), now)
        assert claim is not None
        assert store.tasks.finish(claim.id, claim.token, outcome, lease.now()).accepted


def exported(context: Context, **where: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for section in SECTIONS:
        args = {"section": section, **where}
        while True:
            answer = call(context, "memory.export_records", **args)
            found += answer["records"]
            if "next" not in answer:
                break
            args["after"] = answer["next"]
    return found


def taken(context: Context, store: Context, records: list[Any], **args: Any) -> dict[str, Any]:
    name = store.store.past().hex()
    return call(context, "memory.import_records", store=name, records=records, **args)


def test_a_store_that_is_taken_in_is_the_same(old: Context, new: Context) -> None:
    records = exported(old)
    assert {one["type"] for one in records} == set(SECTIONS) - {"reference"}
    answer = taken(new, old, records)
    assert (answer["left_out"], answer["refused"]) == ({}, [])
    assert exported(new) == records
    assert new.store.quick_check() == []
    found = call(new, "memory.recall", query="port", scope="all")["results"]
    assert [one["content"] for one in found] == ["the port is 9090"]


def test_projects_stay_parts_of_others_whichever_was_first(old: Context, new: Context) -> None:
    for name in ("b", "c", "d"):
        old.store.projects.ensure(ProjectIdentity(name, f"folder:/{name}", f"folder:/{name}"))
    for into, part in ((3, 1), (3, 2), (3, 4)):
        old.store.projects.merge(into, part)
    records = exported(old)
    assert [one["id"] for one in records if one["type"] == "project"] == [3, 1, 2, 4]
    taken(new, old, records)
    assert exported(new) == records
    assert new.store.projects.all() == old.store.projects.all()


def test_links_are_taken_in_with_when_they_hold_and_wrong_ones_are_left_out(
    old: Context, new: Context
) -> None:
    links = old.store.links
    links.add(3, 2, DEPENDS_ON, "ada", valid_from=10.0, valid_until=20.0)
    links.add(4, 2, DERIVED_FROM, "ada")
    links.end(4, 2, DERIVED_FROM)
    records = exported(old)
    told = [one for one in records if one["type"] == "link" and one["kind"] == DEPENDS_ON]
    assert [(one["valid_from"], one["valid_until"]) for one in told] == [(10.0, 20.0)]
    wrong = [{**told[0], "kind": kind} for kind in ("retry_of", "loves")]
    answer = taken(new, old, [*records, *wrong])
    assert sum(answer["left_out"].values()) == len(wrong)
    assert exported(new) == records


def test_twice_there_is_nothing_new(old: Context, new: Context) -> None:
    records = exported(old)
    taken(new, old, records)
    before = exported(new)
    assert taken(new, old, records)["stored"] == 0
    assert exported(new) == before
    assert taken(old, old, records)["stored"] == 0
    assert exported(old) == records


def test_what_was_forgotten_since_stays_forgotten(old: Context, new: Context) -> None:
    records = exported(old)
    taken(new, old, records)
    call(new, "memory.forget", ids=["m2"])
    assert taken(new, old, records)["stored"] == 0
    assert call(new, "memory.list", state="live", scope="all")["total"] == 0


def test_a_store_that_has_something_gets_the_rest(old: Context, new: Context) -> None:
    call(new, "memory.remember", content="mine", everywhere=True)
    known = call(new, "memory.remember", content="the port is 9090")["id"]
    answer = taken(new, old, exported(old))
    assert answer["left_out"] == {}
    (entry,) = call(new, "memory.get", ids=[known])["entries"]
    assert entry["tags"] == ["a", "b"]
    superseded = call(new, "memory.list", state="superseded", scope="all")["entries"]
    assert [one["superseded_by"] for one in superseded] == [known]


def test_a_dry_run_stores_nothing(old: Context, new: Context) -> None:
    records = exported(old)
    answer = taken(new, old, records, dry_run=True)
    assert answer["stored"] == sum(one["type"] == "entry" for one in records)
    assert exported(new) == exported(new)
    assert new.store.entries.highest_id() == 0


def test_a_part_is_what_a_filter_lets_through(old: Context, new: Context) -> None:
    records = exported(old, tags=["a"])
    contents = [one["content"] for one in records if one["type"] == "entry"]
    assert contents == ["the port is 8080", "the port is 9090"]
    records = [one for one in records if one["type"] in ("project", "entry", "supersession")]
    assert taken(new, old, records)["left_out"] == {}


def test_a_part_has_the_projects_of_its_entries_and_no_other(old: Context, new: Context) -> None:
    shop, web = (
        old.store.projects.ensure(ProjectIdentity(name, f"folder:/{name}", f"folder:/{name}"))
        for name in ("shop", "web")
    )
    old.store.projects.merge(shop, web)
    old.store.projects.ensure(ProjectIdentity("private", "folder:/private", "folder:/private"))
    entry = call(old, "memory.remember", content="the till is closed", tags=["till"])["id"]
    call(old, "projects.move", to="shop", ids=[entry])
    records = exported(old, tags=["till"])
    assert [one["name"] for one in records if one["type"] == "project"] == ["shop", "web"]
    assert "private" not in str(records)
    taken(new, old, records)
    assert call(new, "memory.list", scope="all")["entries"][0]["project"] == "shop"
    assert "project" not in {one["type"] for one in exported(old, kind="nothing")}


@pytest.mark.parametrize("name", sorted({*listing.WHICH, "state"} - {"in", "scope", "namespace"}))
def test_each_filter_makes_an_export_a_part(old: Context, name: str) -> None:
    """One that is not known as a filter would have the whole store told instead."""
    nobodys = {
        "kind": "other", "tags": ["other"], "since": "2099-01-01", "until": "1999-01-01",
        "by": "tool", "how": "captured", "state": "pinned", "project": "here",
    }  # fmt: skip
    value = nobodys.get(name, "nobody")
    told = [one for one in exported(old, **{name: value}) if one["type"] == "entry"]
    every = [one for one in exported(old) if one["type"] == "entry"]
    assert len(told) < len(every)
    assert all(one in every for one in told)


def test_a_secret_is_refused_and_the_rest_is_taken(new: Context) -> None:
    def entry(content: str) -> dict[str, Any]:
        return {"type": "entry", "collection": "memory", "kind": "semantic", "content": content}

    secret = f"the token is {SECRET}"
    answer = call(
        new, "memory.import_records", store="x", records=[entry(secret), entry("harmless")]
    )
    assert answer["stored"] == 1
    assert [one["place"] for one in answer["refused"]] == [0]
    assert SECRET not in str(answer)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"type": "nonsense"}, "not one of an export"),
        ({"type": "entry", "collection": "memory", "kind": "x"}, "has no content"),
        ({"type": "supersession", "entry": "1", "by": 2}, "no whole number"),
        ({"type": "supersession", "entry": 1, "by": 2**70}, "no whole number"),
        (
            {"type": "entry", "collection": "memory", "kind": "x", "content": "c", "salience": 7},
            "not between 0 and 1",
        ),
        (
            {"type": "entry", "collection": "memory", "kind": "x", "content": "c", "evil": 7},
            "no field of an export",
        ),
    ],
)
def test_what_is_no_record_is_refused(new: Context, record: dict[str, Any], why: str) -> None:
    (refused,) = call(new, "memory.import_records", store="x", records=[record])["refused"]
    assert why in refused["why"]


def test_a_number_that_would_use_up_all_others_is_not_taken(new: Context) -> None:
    record = {"type": "entry", "collection": "memory", "kind": "x", "content": "c", "id": 2**60}
    call(new, "memory.import_records", store="x", records=[record])
    assert new.store.entries.highest_id() == 1


def test_a_failure_in_the_middle_leaves_nothing_of_the_call(new: Context) -> None:
    profile = {
        "type": "profile", "name": "x", "description": "", "consumer_kind": "recall",
        "lifecycle": "impossible", "builtin": 0, "epoch": 0, "events": 0, "created_at": 1.0,
        "updated_at": 1.0, "weights": {},
    }  # fmt: skip
    entry = {"type": "entry", "collection": "memory", "kind": "x", "content": "c", "id": 1}
    with pytest.raises(Exception, match="CHECK"):
        call(new, "memory.import_records", store="x", records=[entry, profile])
    assert new.store.entries.highest_id() == 0


def test_an_unknown_project_is_refused(new: Context) -> None:
    with pytest.raises(Exception, match="no project 'nowhere'"):
        call(new, "memory.import_records", store="x", records=[], project="nowhere")
    with pytest.raises(InvalidInput):
        call(new, "memory.import_records", store="", records=[])
