"""What disagrees, what replaces what, and what no longer holds: remember and recall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from khive_supervisor.access.grant import OPERATOR, confined_to
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.links import CONTRADICTS, SAME_AS, SUPERSEDES
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
OLD, NEW = "The billing service listens on port 8080.", "The billing service listens on port 9090."


class Clock:
    """A wall clock that is set."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(tmp_path: Path, clock: Clock) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    opened = Context(
        config, SessionInfo(id="s", actor="ada"), socket_path=None, make_embedder=lambda: None,
        grant=OPERATOR, wall_clock=clock,
    )  # fmt: skip
    opened._store = SqliteStore(config.store.path, clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def remember(context: Context, content: str, **args: Any) -> dict[str, Any]:
    return call(context, "memory.remember", content=content, **args)


def recalled(context: Context, query: str, **args: Any) -> list[dict[str, Any]]:
    return list(call(context, "memory.recall", query=query, **args)["results"])


def ids(results: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in results]


def kinds(context: Context, *numbers: int) -> list[tuple[int, int, str]]:
    return [(one.from_id, one.to_id, one.kind) for one in context.store.links.of(numbers)]


def test_who_says_otherwise_is_told_so_and_how_to_settle_it(context: Context) -> None:
    assert "related" not in remember(context, OLD)
    answer = remember(context, NEW)
    assert answer["status"] == "stored"
    assert [(one["id"], one["line"]) for one in answer["related"]] == [("m1", OLD)]
    assert "8080 -> 9090" in answer["related"][0]["why"]
    assert "supersedes" in answer["next"]
    assert kinds(context, 1) == [(2, 1, CONTRADICTS)]


def test_who_says_the_same_in_other_words_is_told_so(context: Context) -> None:
    remember(context, OLD)
    answer = remember(context, "Port 8080 is where the billing service listens.")
    assert [one["why"] for one in answer["related"]] == ["says nearly the same"]
    assert kinds(context, 1) == []


def test_who_says_it_in_quite_other_words_is_told_so(tmp_path: Path, model: MiniLM) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    context = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: model, grant=OPERATOR
    )
    for text in ("The office coffee is paid by the team.", "Backups run nightly at 3 am.",
                 "Shoes are left at the door of the lab."):  # fmt: skip
        assert "related" not in remember(context, text)
    (related,) = remember(context, "The database is dumped every six hours.")["related"]
    assert related["line"] == "Backups run nightly at 3 am."
    assert related["why"] == "may be about the same"
    context.close()


@pytest.mark.parametrize("title", ["", "crawler"])
def test_a_newer_conversation_about_the_same_decision_stands_before_the_first(
    tmp_path: Path, model: MiniLM, clock: Clock, title: str
) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    context = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: model, grant=OPERATOR,
        wall_clock=clock,
    )  # fmt: skip
    older = (
        "user: How long does the crawler of the price pages wait for a shop?\n"
        "assistant: SHOP_TIMEOUT in crawler/fetch.py is 4 seconds, then the shop is skipped."
    )
    newer = (
        "user: The crawler of the price pages skips slow shops every night, they are missing.\n"
        "assistant: They need 9 seconds. SHOP_TIMEOUT in crawler/fetch.py is 12 seconds."
    )
    other = "user: Who waters the plants?\nassistant: Whoever comes first in the morning."
    said: dict[str, Any] = {}
    for place, text in enumerate((other, older, newer)):
        said = {"title": title, "source": f"chat:{place}"} if title else {}
        remember(context, text, **said)
        clock.now += 3600
    query = "How long does the crawler wait for a shop?"
    assert ids(recalled(context, query))[:2] == ["m3", "m2"]
    remember(context, newer, both_hold=["m2"], **said)
    assert ids(recalled(context, query))[:2] == ["m2", "m3"]
    context.close()


def test_who_is_likely_to_have_taken_the_place_of_the_first_stands_before_it(
    tmp_path: Path, model: MiniLM, clock: Clock
) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    context = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: model, grant=OPERATOR,
        wall_clock=clock,
    )  # fmt: skip
    older, newer = "Lint everything: tox -e lint.", "nox -s lint lints everything."
    for text in ("The office coffee is paid by the team.", older, newer):
        remember(context, text)
        clock.now += 3600
    query = "command to lint everything"
    first, second = recalled(context, query)[:2]
    assert (first["id"], second["id"]) == ("m3", "m2")
    assert "older" not in second
    remember(context, newer, both_hold=["m2"])
    assert ids(recalled(context, query))[:2] == ["m2", "m3"]
    context.close()


def test_what_has_nothing_to_do_with_it_is_not_told(context: Context) -> None:
    remember(context, OLD)
    assert "related" not in remember(context, "The staging cluster is called orca.")


def test_what_disagrees_is_shown_newer_first_and_the_older_is_marked(context: Context) -> None:
    remember(context, OLD, salience=1.0)
    remember(context, NEW, salience=0.0)
    newer, older = recalled(context, "billing service port")
    assert (newer["id"], older["id"]) == ("m2", "m1")
    assert older["older"] == "may be outdated; m2 says otherwise"
    assert "older" not in newer


def test_what_was_said_at_the_time_that_is_asked_for_stays_before_a_newer_one(
    context: Context, clock: Clock
) -> None:
    for said in (OLD, NEW):
        remember(context, said)
        clock.now += 40 * 86_400
    now, before = recalled(context, "billing service port")
    assert (now["id"], before["id"]) == ("m2", "m1")
    then, after = recalled(context, "billing service port 80 days ago")
    assert (then["id"], after["id"]) == ("m1", "m2")
    assert then["older"] == "may be outdated; m2 says otherwise"


def test_both_may_hold(context: Context) -> None:
    remember(context, OLD)
    remember(context, NEW)
    assert "related" not in remember(context, NEW, both_hold=["m1"])
    assert kinds(context, 1) == []
    assert all("older" not in one for one in recalled(context, "billing service port"))


def test_a_memory_replaces_others_in_the_same_call(context: Context) -> None:
    remember(context, OLD)
    remember(context, "Billing is on 8080 still.")
    answer = remember(context, NEW, supersedes=["m1", "m2"])
    assert (answer["id"], answer["supersedes"]) == ("m3", ["m1", "m2"])
    assert "related" not in answer
    assert kinds(context, 3) == [(3, 1, SUPERSEDES), (3, 2, SUPERSEDES)]
    assert ids(recalled(context, "billing")) == ["m3"]
    context.store.changes.undo(context.store.changes.recent()[0].id)
    assert set(ids(recalled(context, "billing"))) == {"m1", "m2"}
    assert kinds(context, 3) == []


def test_a_memory_that_is_there_already_can_still_replace_another(context: Context) -> None:
    remember(context, OLD)
    remember(context, NEW)
    answer = remember(context, NEW, supersedes=["m1"])
    assert (answer["id"], answer["status"], answer["supersedes"]) == ("m2", "already known", ["m1"])
    assert ids(recalled(context, "billing")) == ["m2"]
    assert "supersedes" not in remember(context, NEW, supersedes=["m2"])


def test_a_memory_that_is_the_same_is_merged(context: Context) -> None:
    remember(context, OLD, tags=["a"])
    text = "Port 8080 is where the billing service listens."
    remember(context, text, tags=["b"])
    answer = remember(context, text, same_as="m1")
    assert (answer["id"], answer["status"], answer["merged"]) == ("m1", "merged", "m2")
    (left,) = recalled(context, "billing")
    assert (left["id"], left["tags"]) == ("m1", ["a", "b"])
    assert set(kinds(context, 1)) == {(2, 1, SAME_AS), (1, 2, SUPERSEDES)}
    context.store.changes.undo(context.store.changes.recent()[0].id)
    assert set(ids(recalled(context, "billing"))) == {"m1", "m2"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"supersedes": ["m9"]}, NotFound),
        ({"supersedes": ["k1"]}, NotFound),
        ({"supersedes": ["m2"]}, InvalidInput),
        ({"supersedes": ["m1"], "same_as": "m1"}, InvalidInput),
        ({"same_as": "nonsense"}, InvalidInput),
        ({"both_hold": ["m9"]}, NotFound),
        ({"valid_until": "some day"}, InvalidInput),
        ({"valid_from": "2030-01-02", "valid_until": "2030-01-01"}, InvalidInput),
    ],
)
def test_what_cannot_be_settled_is_refused_and_nothing_is_stored(
    context: Context, given: dict[str, Any], error: type[Exception]
) -> None:
    remember(context, OLD)
    remember(context, "Gone.")
    call(context, "memory.forget", ids=["m2"])
    with pytest.raises(error):
        remember(context, NEW, **given)
    assert context.store.entries.highest_id() == 2


def test_what_has_ended_or_not_begun_is_not_found(context: Context, clock: Clock) -> None:
    remember(context, "The kettle is broken.", valid_until="2027-02-01")
    remember(context, "The new kettle comes.", valid_from="2027-03-01")
    assert ids(recalled(context, "kettle")) == ["m1"]
    clock.now += 30 * 86400
    assert ids(recalled(context, "kettle")) == []
    clock.now += 30 * 86400
    (found,) = recalled(context, "kettle")
    assert (found["id"], found["valid_from"]) == ("m2", "2027-03-01T00:00:00Z")
    assert context.store.entries.not_holding([1, 2], clock.now) == {1}


def test_a_confined_session_links_only_its_own(context: Context) -> None:
    remember(context, OLD, namespace="other")
    mine = context.config.session.namespace
    remember(context, NEW, namespace=mine)
    context.grant = confined_to(mine)
    with pytest.raises(NotFound):
        context.store.links.add(2, 1, CONTRADICTS)
    with pytest.raises(NotFound):
        context.store.entries.replace([2], 1)
    assert not context.store.links.end(2, 1, CONTRADICTS)
    assert context.store.links.of([1, 2]) == []
    assert context.store.entries.replace([1], 2) == []
    assert context.store.entries.not_holding([1, 2], 0.0) == set()


def test_what_was_so_at_an_earlier_moment_is_found(context: Context, clock: Clock) -> None:
    remember(context, OLD)
    clock.now += 3600
    between = clock.now
    clock.now += 3600
    remember(context, NEW, supersedes=["m1"])
    clock.now += 3600
    remember(context, "The billing service listens on port 7070.", supersedes=["m2"])
    moment = "2027-01-15T09:00:00Z"
    assert between == 1_800_003_600.0
    (then,) = recalled(context, "billing port", as_of=moment)
    assert (then["id"], then["since"]) == ("m1", "superseded by m2")
    assert ids(recalled(context, "billing port")) == ["m3"]
    assert recalled(context, "billing port", as_of="2020-01-01") == []


def test_what_had_ended_since_is_found_as_of_then(context: Context, clock: Clock) -> None:
    remember(context, "The kettle is broken.", valid_until="2027-02-01")
    clock.now += 60 * 86400
    assert recalled(context, "kettle") == []
    assert ids(recalled(context, "kettle", as_of="2027-01-20")) == ["m1"]


def test_what_was_forgotten_since_is_found_as_of_then(context: Context, clock: Clock) -> None:
    remember(context, "The kettle in the kitchen is broken.")
    remember(context, "Lunch is at noon.")
    clock.now += 86400
    before = "2027-01-15T12:00:00Z"
    call(context, "memory.forget", ids=["m1"])
    remember(context, "Tea is made in the hall.", supersedes=["m2"])
    clock.now += 86400
    assert recalled(context, "kettle") == []
    (then,) = recalled(context, "kettle", as_of=before)
    assert (then["id"], then["since"]) == ("m1", "forgotten")
    (then,) = recalled(context, "lunch noon", as_of=before)
    assert (then["id"], then["since"]) == ("m2", "superseded by m3")
    assert recalled(context, "kettle", as_of="2027-01-16T12:00:00Z") == []
    context.store.purges.purge([1])
    assert recalled(context, "kettle", as_of=before) == []


def test_tidy_proposes_and_does_it_when_told_and_is_undone(context: Context, clock: Clock) -> None:
    remember(context, "The kettle is broken.", valid_until="2027-02-01")
    remember(context, "A rumour.", salience=0.1, decay=0.1)
    remember(context, "A fact.")
    clock.now += 100 * 86400
    answer = call(context, "memory.tidy")
    found = [(one["id"], one["kind"]) for one in answer["proposals"]]
    assert (found, answer["applied"]) == ([("m1", "expired"), ("m2", "faded")], 0)
    assert call(context, "memory.tidy", only=["faded"])["proposed"] == 1
    proposed = [one["id"] for one in answer["proposals"]]
    assert call(context, "memory.tidy", ids=proposed[:1])["proposed"] == 1
    assert call(context, "memory.tidy", ids=["m999"])["proposed"] == 0
    assert call(context, "memory.tidy", apply=True)["applied"] == 2
    assert call(context, "memory.tidy", apply=True) == {
        "proposed": 0, "proposals": [], "applied": 0,
    }  # fmt: skip
    context.store.changes.undo(context.store.changes.recent()[0].id)
    assert call(context, "memory.tidy")["proposed"] == 2


def test_tidy_merges_what_says_the_same_or_otherwise(tmp_path: Path, clock: Clock) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    context = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=Words, wall_clock=clock,
        grant=OPERATOR,
    )  # fmt: skip
    remember(context, OLD, tags=["a"])
    remember(context, "Port 8080 is where the billing service listens.")
    remember(context, NEW)
    answer = call(context, "memory.tidy", apply=True)
    assert [(one["id"], one["kind"], one["kept"]) for one in answer["proposals"]] == [
        ("m1", "same", "m2"), ("m2", "otherwise", "m3"),
    ]  # fmt: skip
    assert ids(recalled(context, "billing")) == ["m3"]
    context.close()


def test_a_memory_is_embedded_once(tmp_path: Path, clock: Clock) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    asked: list[str] = []

    class Counting(Words):
        def embed(self, texts: Any) -> Any:
            asked.extend(texts)
            return super().embed(texts)

    context = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=Counting, wall_clock=clock,
        grant=OPERATOR,
    )  # fmt: skip
    remember(context, OLD)
    assert remember(context, NEW)["related"]
    assert asked == [f"\n{OLD}", f"\n{NEW}"]
    context.close()


class Words:
    """An embedder whose vectors are nearer the more letters two texts share."""

    model_id, dimensions = "words", 16

    def embed(self, texts: Any) -> Any:
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for number, text in enumerate(texts):
            for sign in text.lower():
                rows[number, ord(sign) % self.dimensions] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("The review of OPS-12-40 takes 3 days.", "The review of OPS-40-12 takes 5 days."),
        ("The job db-to-web starts at 04:30.", "The job web-to-db starts at 05:30."),
        ("On 2026-03-04 the board met in room 3.", "On 2026-04-03 the board met in room 5."),
        ("Pass --verify 3 times.", "Pass --no-verify 5 times."),
    ],
)
def test_what_has_the_name_that_was_asked_for_is_first_whatever_is_newer(
    context: Context, clock: Clock, older: str, newer: str
) -> None:
    for content in (older, newer):
        remember(context, content)
        clock.now += 60
    one, other = (next(iter(_names(older))), next(iter(_names(newer))))
    assert recalled(context, one, floor=0)[0]["content"] == older
    assert recalled(context, other, floor=0)[0]["content"] == newer


def _names(text: str) -> list[str]:
    return [word.strip(".") for word in text.split() if "-" in word]
