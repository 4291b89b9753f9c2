"""Profiles at serve time: what was learned ranks, and what a session uses is learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.packs import loading
from khive_supervisor.profiles.model import DEFAULT, ProfileEvent
from khive_supervisor.verbs import usage
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.kept import Serve, Served

REGISTRY = loading.load()
Make = Callable[..., Context]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes contexts of sessions that share one store."""
    made: list[Context] = []

    def context(session_id: str = "s", **settings: Any) -> Context:
        config = from_dict({"store": {"path": str(tmp_path / "khive.db")}, **settings})
        info = SessionInfo(id=session_id, actor="ada")
        made.append(
            Context(config, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR)
        )
        return made[-1]

    yield context
    for one in made:
        one.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def remember(context: Context, *contents: str) -> list[str]:
    return [call(context, "memory.remember", content=content)["id"] for content in contents]


def recalled(context: Context, query: str, **args: Any) -> list[str]:
    return [one["id"] for one in call(context, "memory.recall", query=query, **args)["results"]]


def implicit(context: Context, profile: str = DEFAULT) -> list[ProfileEvent]:
    events = context.store.profiles.events(profile)
    return [event for event in events if event.kind == "implicit"]


def test_an_answer_says_which_profile_served_and_why(make: Make) -> None:
    context = make()
    remember(context, "deploys happen on fridays")
    first = call(context, "memory.recall", query="deploys")["served_by"]
    assert first.keys() == {"serve"}
    call(context, "brain.create_profile", name="mine")
    call(context, "brain.bind", name="mine", actor="ada")
    second = call(context, "memory.recall", query="deploys")["served_by"]
    assert second["profile"] == "mine"
    assert "actor ada" in second["binding"]
    assert first["serve"] != second["serve"]
    assert call(context, "knowledge.suggest", task="deploys")["served_by"]["profile"] == "mine"


def test_what_was_called_useful_comes_before_its_equal(make: Make) -> None:
    context = make()
    one, two = remember(context, "the parser drops tabs, noted", "the parser drops tabs, written")
    assert recalled(context, "parser tabs") == [two, one]
    call(context, "brain.feedback", target=one, signal="useful")
    assert recalled(context, "parser tabs") == [one, two]
    explained = call(context, "memory.recall", query="parser tabs", explain=True)["results"]
    assert explained[0]["ranking"]["liking"] > 1 == explained[1]["ranking"]["liking"]


def test_feedback_of_one_session_ranks_in_another_at_once(make: Make) -> None:
    a, b = make("a"), make("b")
    one, two = remember(a, "the parser drops tabs, noted", "the parser drops tabs, written")
    assert recalled(b, "parser tabs") == [two, one]
    call(a, "brain.feedback", target=two, signal="wrong")
    assert recalled(b, "parser tabs") == [one, two]


def test_the_weights_of_the_profile_that_serves_rank(make: Make) -> None:
    context = make()
    call(context, "memory.remember", content="the parser drops tabs", salience=1.0)

    def lift() -> float:
        found = call(context, "memory.recall", query="parser tabs", explain=True)["results"]
        return float(found[0]["ranking"]["lift"])

    assert lift() == pytest.approx(1.09, abs=1e-3)  # 1 + 0.3 * (0.2 + 0.1)
    little = {"alpha": 1, "beta": 1000}
    seeds = {"relevance": {"alpha": 1000, "beta": 1}, "salience": little, "temporal": little}
    call(context, "brain.create_profile", name="mild", seed_priors=seeds)
    call(context, "brain.bind", name="mild", namespace="default")
    assert lift() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("way", ["read", "cited", "remembered again", "corrected"])
def test_what_a_session_uses_after_a_recall_is_learned_from(make: Make, way: str) -> None:
    context = make()
    (one,) = remember(context, "the parser drops tabs")
    recalled(context, "parser")
    expected = one
    if way == "read":
        call(context, "memory.get", ids=[one])
    elif way == "cited":
        call(context, "memory.remember", content=f"As {one} says, tabs are dropped: mended.")
    elif way == "remembered again":
        remember(context, "the parser drops tabs")
    else:
        expected = call(context, "memory.supersede", id=one, content="The parser keeps tabs.")["id"]
    (event,) = implicit(context)
    assert (event.signal, event.detail["by"]) == ("implicit_positive", way)
    assert event.entry_id == int(expected[1:])
    call(context, "memory.get", ids=[expected])
    assert len(implicit(context)) == 1, "a serve counts once"
    recalled(context, "parser")
    call(context, "memory.get", ids=[expected])
    assert len(implicit(context)) == 2
    assert call(context, "brain.replay")["equal"]


def test_what_was_not_served_says_nothing(make: Make) -> None:
    context = make()
    (one,) = remember(context, "the parser drops tabs")
    call(context, "memory.get", ids=[one])
    call(context, "memory.remember", content=f"As {one} says.")
    assert implicit(context) == []


def test_implicit_feedback_can_be_switched_off(make: Make) -> None:
    context = make(profiles={"implicit_feedback": False})
    (one,) = remember(context, "the parser drops tabs")
    recalled(context, "parser")
    call(context, "memory.get", ids=[one])
    assert implicit(context) == []


def test_implicit_feedback_that_cannot_be_stored_fails_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make()
    (one,) = remember(context, "the parser drops tabs")
    recalled(context, "parser")

    def full(_events: object) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(context.store.feedback, "record_many", full)
    assert call(context, "memory.get", ids=[one])["entries"][0]["id"] == one


@pytest.mark.parametrize(
    ("text", "expected"),
    [("see m12 and k7.", [12, 7]), ("(m3)", [3]), ("am12 m012 m-1 x-m4 m4x", []), ("", [])],
)
def test_citations(text: str, expected: list[int]) -> None:
    assert usage.cited(text) == expected


def test_a_session_remembers_what_it_was_served_of_late() -> None:
    served = Served()
    served.add(range(600), Serve("a", "p"))
    served.add([599, 5], Serve("b", "p"))
    assert served.take([0, 5, 88, 89, 599]) == {
        5: Serve("b", "p"), 89: Serve("a", "p"), 599: Serve("b", "p")
    }  # fmt: skip
    assert served.take([5]) == {}
