"""Lists, pins, forgetting by a filter, and undoing: what the verbs answer, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from secret_texts import SECRET

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput, NotFound, SecretFound
from khive_supervisor.packs import loading
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()


def context_of(path: Path, session: str = "s", grant: Grant = OPERATOR) -> Context:
    config = from_dict({"store": {"path": str(path / "khive.db")}})
    info = SessionInfo(id=session)
    return Context(
        config, info, socket_path=None, make_embedder=lambda: None, grant=grant,
        wall_clock=lambda: 1_800_000_000.0,
    )  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    opened = context_of(tmp_path)
    yield opened
    opened.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def remember(context: Context, content: str, **args: Any) -> str:
    return str(call(context, "memory.remember", content=content, **args)["id"])


def listed(context: Context, **args: Any) -> list[str]:
    return [one["id"] for one in call(context, "memory.list", **args)["entries"]]


def whole(context: Context) -> list[dict[str, Any]]:
    """All entries as they are, but for when they were touched."""
    ids = [f"m{number}" for number in range(1, context.store.entries.highest_id() + 1)]
    found = call(context, "memory.get", ids=ids)["entries"]
    return [{k: v for k, v in one.items() if k != "updated_at"} for one in found]


# --- lists ----------------------------------------------------------------------------------------


def test_the_newest_is_first_and_pages_go_on(context: Context) -> None:
    ids = [remember(context, f"fact {number}") for number in range(7)]
    seen: list[str] = []
    args: dict[str, Any] = {"limit": 3}
    for _ in range(3):
        answer = call(context, "memory.list", **args)
        assert answer["total"] == 7
        seen += [one["id"] for one in answer["entries"]]
        args["cursor"] = answer.get("next")
    assert args["cursor"] is None
    assert seen == ids[::-1]


def test_pinned_entries_are_first_and_their_rank_is_the_same(context: Context) -> None:
    ids = [remember(context, f"apples are red {number}") for number in range(3)]
    before = call(context, "memory.recall", query="apples")["results"]
    assert call(context, "memory.pin", ids=[ids[0]])["pinned"] == [ids[0]]
    assert call(context, "memory.pin", ids=[ids[0]])["unchanged"] == [ids[0]]
    assert listed(context) == [ids[0], ids[2], ids[1]]
    assert listed(context, state="pinned") == [ids[0]]
    after = call(context, "memory.recall", query="apples")["results"]
    assert [one["id"] for one in after] == [one["id"] for one in before]
    assert call(context, "memory.pin", ids=[ids[0]], pinned=False)["unpinned"] == [ids[0]]
    assert listed(context) == ids[::-1]


def test_what_takes_the_place_of_a_pinned_entry_is_pinned(context: Context) -> None:
    one = remember(context, "one")
    call(context, "memory.pin", ids=[one])
    new = call(context, "memory.supersede", id=one, content="two")["id"]
    assert listed(context, state="pinned") == [new]
    call(context, "memory.undo")
    assert listed(context, state="pinned") == [one]


def test_states(context: Context) -> None:
    one, two, three = (remember(context, f"fact {number}") for number in range(3))
    call(context, "memory.forget", ids=[one])
    four = call(context, "memory.supersede", id=two, content="another fact")["id"]
    assert listed(context) == [four, three]
    assert listed(context, state="forgotten") == [one]
    assert listed(context, state="superseded") == [two]
    assert sorted(listed(context, state="all")) == sorted([one, two, three, four])


def test_filters(context: Context) -> None:
    one = remember(context, "one", tags=["a", "b"], kind="episodic", source="/home/x/notes.md")
    two = remember(context, "two", tags=["a"], source="/home/y")
    assert listed(context, tags=["a"]) == [two, one]
    assert listed(context, tags=["a", "b"]) == [one]
    assert listed(context, kind="episodic") == [one]
    assert listed(context, source="/home/x") == [one]
    assert listed(context, source="%") == []
    assert listed(context, until="2001-01-01") == []
    call(context, "memory.forget", ids=[one])
    assert listed(context, state="forgotten", tags=["b"]) == [one]


def test_the_order_of_use(context: Context) -> None:
    one, two = remember(context, "one"), remember(context, "two")
    call(context, "brain.feedback", target=one, signal="useful")
    assert listed(context, order="used") == [one, two]
    (first, second) = call(context, "memory.list", order="used")["entries"]
    assert "used_at" in first
    assert "used_at" not in second


@pytest.mark.parametrize("verb", ["memory.recall", "knowledge.search"])
def test_a_search_without_a_query_lists_what_passes(context: Context, verb: str) -> None:
    call(context, "knowledge.learn", entries=[{"content": "a page", "tags": ["a"]}])
    one, two = remember(context, "one", tags=["a"]), remember(context, "two", tags=["a"])
    remember(context, "three")
    call(context, "memory.pin", ids=[one])
    answer = call(context, verb, query=" ", tags=["a"])
    found = [entry["id"] for entry in answer["results"]]
    assert found == ([one, two] if verb == "memory.recall" else ["k1"])
    assert "There is no query" in answer["notes"][0]


def test_a_cursor_of_nowhere_is_refused(context: Context) -> None:
    with pytest.raises(InvalidInput, match="not where a page ended"):
        call(context, "memory.list", cursor="somewhere")


def test_tags_are_counted(context: Context) -> None:
    remember(context, "one", tags=["a", "b"])
    gone = remember(context, "two", tags=["a", "c"])
    remember(context, "three", tags=["a"])
    call(context, "memory.forget", ids=[gone])
    assert call(context, "memory.tags")["tags"] == {"a": 2, "b": 1}


def test_stats_count_by_properties(context: Context) -> None:
    remember(context, "one", source="/notes")
    gone = remember(context, "two", kind="episodic")
    call(context, "memory.forget", ids=[gone])
    stats = call(context, "memory.stats")
    assert stats["entries"] == {"live": 1, "forgotten": 1, "superseded": 0, "pinned": 0}
    assert stats["by_source"] == {"/notes": 1}
    assert stats["by_kind"] == {"semantic": 1}
    assert stats["bytes"]["store"] > 0


# --- narrowing by source, pins and words ----------------------------------------------------------


def test_a_search_is_narrowed_by_source_and_pins(context: Context) -> None:
    one = remember(context, "the ledger closes at noon", source="notes/ledger.md")
    two = remember(context, "the ledger is audited in May", source="wiki/audit.md")
    three = remember(context, "the ledger is printed on paper")
    call(context, "memory.pin", ids=[two])

    def found(**more: Any) -> set[str]:
        answer = call(context, "memory.recall", query="ledger", floor=0, **more)
        return {one["id"] for one in answer["results"]}

    assert found() == {one, two, three}
    assert found(source="notes/") == {one}
    assert found(source="other") == set()
    assert found(pinned=True) == {two}
    assert found(pinned=True, source="notes/") == set()


def test_what_was_forgotten_is_listed_by_its_words(context: Context) -> None:
    one = remember(context, "The Ledger closes at noon", title="Closing")
    remember(context, "The ledger is printed")
    call(context, "memory.forget", ids=[one])
    assert [e["id"] for e in call(context, "memory.list", state="forgotten",
                                  contains="ledger closing")["entries"]] == [one]  # fmt: skip
    assert call(context, "memory.list", state="forgotten", contains="printed")["entries"] == []


# --- forgetting by a filter -----------------------------------------------------------------------


def test_forgetting_by_a_filter_tells_first_and_can_be_undone(context: Context) -> None:
    ids = [remember(context, f"scratch {number}", tags=["scratch"]) for number in range(12)]
    kept = remember(context, "to be kept")
    told = call(context, "memory.forget_matching", tags=["scratch"])
    assert told["would_forget"] == 12
    assert [one["id"] for one in told["entries"]] == ids[:10]
    assert len(listed(context)) == 13
    done = call(context, "memory.forget_matching", tags=["scratch"], dry_run=False)
    assert done["forgotten"] == 12
    assert listed(context) == [kept]
    assert call(context, "memory.undo")["undone"]["count"] == 12
    assert len(listed(context)) == 13
    assert len(call(context, "memory.recall", query="scratch", limit=100)["results"]) == 12


@pytest.mark.parametrize("where", [{"namespace": "local"}, {"scope": "all"}, {"in": "all"}])
def test_a_filter_has_to_say_something(context: Context, where: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="Nothing says which entries"):
        call(context, "memory.forget_matching", **where)


@pytest.mark.parametrize(
    "where",
    [
        {"kind": "semantic"}, {"tags": ["a"]}, {"since": "1h"}, {"until": "1h"},
        {"source": "/notes"}, {"project": "everywhere"}, {"by": "agent"}, {"actor": "x"},
        {"client": "y"},
    ],
)  # fmt: skip
def test_each_property_says_something(context: Context, where: dict[str, Any]) -> None:
    remember(context, "one")
    assert "would_forget" in call(context, "memory.forget_matching", **where)


# --- undoing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("memory.forget", {"ids": ["m1", "m2"]}),
        ("memory.restore", {"ids": ["m3"]}),
        ("memory.supersede", {"id": "m1", "content": "something else"}),
        ("memory.supersede", {"id": "m1", "content": "was forgotten"}),
        ("memory.supersede", {"id": "m1", "content": "first", "tags": ["new"]}),
        ("memory.pin", {"ids": ["m2"]}),
    ],
)
def test_a_change_is_undone(context: Context, verb: str, args: dict[str, Any]) -> None:
    for content in ("first", "second", "was forgotten"):
        remember(context, content)
    call(context, "memory.forget", ids=["m3"])
    before = whole(context)
    call(context, verb, **args)
    call(context, "memory.undo")
    assert whole(context)[:3] == before
    assert all("forgotten_at" in one for one in whole(context)[3:])
    assert call(context, "memory.recall", query="first")["results"][0]["id"] == "m1"
    assert context.store.quick_check() == []


@pytest.mark.parametrize(
    ("verb", "args", "told"),
    [
        ("memory.remember", {"content": "new"}, [("forgotten", "m3")]),
        ("memory.forget", {"ids": ["m1", "m2"]}, [("restored", "m1"), ("restored", "m2")]),
        (
            "memory.supersede",
            {"id": "m1", "content": "else"},
            [("restored", "m1"), ("forgotten", "m3")],
        ),
        ("memory.pin", {"ids": ["m2"]}, []),
    ],
)
def test_the_audit_chain_is_told_of_what_an_undo_brings_back_and_takes_out(
    context: Context, verb: str, args: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    remember(context, "first"), remember(context, "second")
    call(context, verb, **args)
    before = context.store.audit.head().seq
    call(context, "memory.undo")
    entries = context.store.audit.entries(before)
    assert [(one.kind, one.subject) for one in entries] == [
        (f"memory.{what}", f"entry/{number}") for what, number in told
    ]


def test_each_undo_goes_one_change_further_back(context: Context) -> None:
    one, two = remember(context, "one"), remember(context, "two")
    call(context, "memory.forget", ids=[one])
    call(context, "memory.forget", ids=[two])
    assert call(context, "memory.undo", dry_run=True)["would_undo"]["entries"] == [two]
    call(context, "memory.undo")
    assert listed(context) == [two]
    call(context, "memory.undo")
    assert listed(context) == [two, one]
    call(context, "memory.undo")
    assert listed(context) == [one]
    call(context, "memory.undo")
    assert listed(context) == []
    with pytest.raises(NotFound, match="no change that could be undone"):
        call(context, "memory.undo")
    assert len(call(context, "memory.changes")["changes"]) == 4


def test_undo_takes_back_what_was_stored(context: Context) -> None:
    one = remember(context, "one")
    assert remember(context, "one") == one
    assert call(context, "memory.undo")["undone"]["what"] == "remember"
    assert (listed(context), listed(context, state="forgotten")) == ([], [one])
    assert remember(context, "one") != ""
    assert len(listed(context)) == 1


def test_a_person_takes_back_their_own_entries_and_anybody_s_changes(
    context: Context, tmp_path: Path
) -> None:
    mine = remember(context, "mine")
    agent = context_of(tmp_path, session="other", grant=AGENT)
    theirs = remember(agent, "theirs")
    call(agent, "memory.forget", ids=[mine])
    assert call(context, "memory.undo")["undone"]["what"] == "forget"
    call(context, "memory.undo")
    assert listed(context) == [theirs]
    with pytest.raises(NotFound, match="no change that could be undone"):
        call(context, "memory.undo")
    call(agent, "memory.undo")
    assert listed(context) == []


def test_what_was_changed_since_stays(context: Context) -> None:
    one = remember(context, "one")
    call(context, "memory.forget", ids=[one])
    context.store.entries.restore([1])
    with pytest.raises(InvalidInput, match="m1 changed again since then"):
        call(context, "memory.undo")
    assert listed(context) == [one]


def test_what_was_stored_anew_is_not_there_twice(context: Context, tmp_path: Path) -> None:
    one, two = remember(context, "one"), remember(context, "two")
    new = call(context, "memory.supersede", id=one, content="other")["id"]
    again = remember(context_of(tmp_path, session="other"), "one")
    with pytest.raises(InvalidInput, match="m1 says was stored anew"):
        call(context, "memory.undo")
    assert listed(context) == [again, new, two]


def test_nothing_is_noted_that_changes_nothing(context: Context) -> None:
    one = remember(context, "one")
    call(context, "memory.restore", ids=[one])
    call(context, "memory.supersede", id=one, content="one")
    assert [one["what"] for one in call(context, "memory.changes")["changes"]] == ["remember"]


def test_an_agent_undoes_its_own_changes_only(context: Context, tmp_path: Path) -> None:
    one = remember(context, "one")
    call(context, "memory.forget", ids=[one])
    agent = context_of(tmp_path, "other", AGENT)
    try:
        with pytest.raises(NotFound, match="of this session"):
            call(agent, "memory.undo")
        call(agent, "memory.restore", ids=[one])
        assert call(agent, "memory.undo")["undone"]["by"].startswith("session/other")
    finally:
        agent.close()
    assert listed(context) == []


def test_old_changes_are_dropped(context: Context) -> None:
    one = remember(context, "one")
    for _ in range(110):
        call(context, "memory.pin", ids=[one])
        call(context, "memory.pin", ids=[one], pinned=False)
    assert len(call(context, "memory.changes", limit=200)["changes"]) == 200


def test_a_list_says_whose_an_entry_is_and_what_others_have(context: Context) -> None:
    project = context.store.projects.ensure(ProjectIdentity("shop", "folder:/s", "folder:/s"))
    port = remember(context, "The port is 8080.", tags=["net"])
    mine = remember(context, "I prefer tabs.")
    call(context, "projects.move", to=f"p{project}", ids=[port])
    assert listed(context) == [mine]
    shown = call(context, "memory.list", scope="all")["entries"]
    assert [(one["id"], one.get("project")) for one in shown] == [(mine, None), (port, "shop")]
    for verb, args in (("memory.list", {"tags": ["net"]}), ("memory.tags", {})):
        answer = call(context, verb, **args)
        assert answer["notes"] == ['Nothing here; 1 of other projects: scope = "all" lists them.']
        assert "notes" not in call(context, verb, **args, scope="all")
    assert "notes" not in call(context, "memory.list", tags=["nowhere"])


def test_a_memory_that_is_over_before_it_begins_says_so(context: Context) -> None:
    answer = call(context, "memory.remember", content="No deploys.", valid_until="7d")
    assert answer["notes"][0].startswith("It held until 2027-01-08T08:00:00Z, which is past")
    assert "notes" not in call(
        context, "memory.remember", content="No merges.", valid_until="2027-02-01"
    )


def test_a_memory_that_is_merged_at_once_is_one_change(context: Context) -> None:
    kept = remember(context, "Deploys are on Tuesdays.", tags=["plan"])
    before = whole(context)
    remember(context, "We deploy each Tuesday.", same_as=kept, tags=["day"])
    assert call(context, "memory.undo")["undone"]["what"] == "merge"
    assert whole(context)[: len(before)] == before
    assert listed(context) == [kept]


def records(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"type": "entry", "id": 100 + at, "collection": "memory", "kind": "semantic",
         "content": f"Note number {at}."}
        for at in range(first, first + count)
    ]  # fmt: skip


def test_an_import_is_one_change_whatever_its_batches(context: Context) -> None:
    mine = remember(context, "The port is 8080.")
    for turn in range(2):  # what was undone can be imported again, and that be undone
        call(context, "memory.import_records", store="x", records=records(3))
        call(
            context, "memory.import_records", store="x", records=records(3, 3), continues=True
        )  # fmt: skip
        assert len(listed(context)) == 7, turn
        undone = call(context, "memory.undo")["undone"]
        assert (undone["what"], undone["count"]) == ("import", 6)
        assert listed(context) == [mine]
    call(context, "memory.import_records", store="x", records=records(1), continues=True)
    assert call(context, "memory.undo")["undone"]["count"] == 1


def test_an_import_that_brought_nothing_is_no_change(context: Context) -> None:
    call(context, "memory.import_records", store="x", records=records(2))
    call(context, "memory.import_records", store="x", records=records(2), dry_run=True)
    call(context, "memory.import_records", store="x", records=records(2))
    assert call(context, "memory.undo")["undone"]["count"] == 2


def named(context: Context) -> list[tuple[str, int | None]]:
    return [(row.name, row.merged_into) for row in context.store.projects.all()]


def test_merging_and_renaming_of_projects_are_undone(context: Context) -> None:
    for name in ("shop", "blog", "old blog"):
        context.store.projects.ensure(ProjectIdentity(name, f"folder:/{name}", f"folder:/{name}"))
    remember(context, "The port is 8080.")
    states = []
    steps: list[tuple[str, dict[str, str]]] = [
        ("projects.merge", {"into": "p2", "project": "p3"}),
        ("projects.rename", {"project": "p2", "name": "the \u201cblog\u201d of projects {x}"}),
        ("projects.merge", {"into": "p1", "project": "p2"}),
    ]
    for verb, args in steps:
        states.append(named(context))
        call(context, verb, **args)
    for what in ("merge of projects", "rename of projects", "merge of projects"):
        undone = call(context, "memory.undo")["undone"]
        assert (undone["what"], undone["entries"]) == (what, [])
        assert named(context) == states.pop()
    assert listed(context) == ["m1"]


def test_a_projects_name_with_a_secret_is_refused(context: Context) -> None:
    context.store.projects.ensure(ProjectIdentity("shop", "folder:/shop", "folder:/shop"))
    with pytest.raises(SecretFound, match="name, line 1"):
        call(context, "projects.rename", project="p1", name=f"shop {SECRET}")
    assert named(context) == [("shop", None)]


def test_projects_that_changed_since_are_not_put_back(context: Context) -> None:
    context.store.projects.ensure(ProjectIdentity("shop", "folder:/shop", "folder:/shop"))
    call(context, "projects.rename", project="p1", name="store")
    context.store.projects.rename(1, "market")
    with pytest.raises(InvalidInput, match="the projects changed again"):
        call(context, "memory.undo")
    assert named(context) == [("market", None)]
