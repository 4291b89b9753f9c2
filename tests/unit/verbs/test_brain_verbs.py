"""The brain pack: what its verbs answer, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, InvalidInput, KhiveError, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.profiles.model import DEFAULT
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
Make = Callable[..., Context]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes contexts of sessions that share one store."""
    made: list[Context] = []

    def context(
        session_id: str = "s", actor: str = "ada", namespace: str | None = None, **settings: Any
    ) -> Context:
        config = from_dict({"store": {"path": str(tmp_path / "khive.db")}, **settings})
        info = SessionInfo(id=session_id, actor=actor, namespace=namespace)
        made.append(
            Context(config, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR)
        )
        return made[-1]

    yield context
    for one in made:
        one.close()


@pytest.fixture
def context(make: Make) -> Context:
    found = make()
    call(found, "memory.remember", content="the first memory")
    call(found, "knowledge.learn", entries=[{"content": "the first document"}])
    call(found, "memory.remember", content="the second memory")
    return found


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    answer = REGISTRY.call(context, verb, args)
    Draft202012Validator(REGISTRY.get(verb).output or {}).validate(answer)
    return answer


def make_profile(context: Context, name: str = "team", **more: Any) -> dict[str, Any]:
    return call(context, "brain.create_profile", name=name, **more)


# --- profiles -------------------------------------------------------------------------------------


def test_the_built_in_profile_is_readable(context: Context) -> None:
    (shown,) = call(context, "brain.profiles")["profiles"]
    assert shown["name"] == DEFAULT
    assert shown["builtin"]
    assert shown["weights"]["relevance"] == {
        "mean": 0.7, "interval_90": [0.4504, 0.9023], "ess": 10.0,
    }  # fmt: skip
    assert shown["created_at"].endswith("Z")


def test_a_profile_is_created_with_seeds_and_shown(context: Context) -> None:
    made = make_profile(context, " team-1 ", description="For us.", consumer_kind="search",
                        seed_priors={"temporal": {"alpha": 5, "beta": 5}})  # fmt: skip
    assert made["name"] == "team-1"
    assert made["weights"]["temporal"]["mean"] == 0.5
    assert made["weights"]["relevance"]["mean"] == 0.7
    shown = call(context, "brain.profile", name="team-1")
    assert shown["description"] == "For us."
    assert (shown["targets"], shown["bindings"]) == ([], [])
    assert len(call(context, "brain.profiles", lifecycle="active")["profiles"]) == 2
    assert call(context, "brain.profiles", lifecycle="archived")["profiles"] == []


@pytest.mark.parametrize("name", ["", "a b", "a_b", "ü", "x" * 65, "a*", "a\nb", "../a"])
def test_names_that_are_not_allowed(context: Context, name: str) -> None:
    with pytest.raises(InvalidInput):
        make_profile(context, name)


@pytest.mark.parametrize(
    "value", [0, 5e-324, -1, 1001, math.nan, math.inf, -math.inf, 10**400, "seven", True, None]
)
def test_seeds_that_no_prior_can_be(context: Context, value: Any) -> None:
    with pytest.raises(InvalidInput, match="seed_priors"):
        make_profile(context, seed_priors={"salience": {"alpha": value, "beta": 1}})
    assert len(context.store.profiles.all()) == 1


@pytest.mark.parametrize(
    "seeds", [{"novelty": {"alpha": 1, "beta": 1}}, {"salience": {"alpha": 1}}, {"salience": 5}, []]
)
def test_seeds_of_another_form(context: Context, seeds: Any) -> None:
    with pytest.raises(InvalidInput):
        make_profile(context, seed_priors=seeds)


def test_seeds_at_the_edges_are_taken(context: Context) -> None:
    made = make_profile(context, seed_priors={"salience": {"alpha": 1000, "beta": 0.01}})
    assert made["weights"]["salience"]["mean"] == 1.0


def test_a_kind_that_no_pack_declares(context: Context) -> None:
    for verb in ("brain.create_profile", "brain.bind"):
        with pytest.raises(InvalidInput, match="No pack declares") as caught:
            call(context, verb, name=DEFAULT, consumer_kind="dreams")
        assert "recall, search" in caught.value.hint
    with pytest.raises(InvalidInput, match="No pack declares"):
        make_profile(context, consumer_kind="*")


def test_lifecycles(context: Context) -> None:
    make_profile(context)
    with pytest.raises(InvalidInput, match="cannot become archived"):
        call(context, "brain.archive", name="team")
    assert call(context, "brain.deactivate", name="team")["lifecycle"] == "inactive"
    assert call(context, "brain.activate", name="team")["lifecycle"] == "active"
    call(context, "brain.deactivate", name="team")
    assert call(context, "brain.archive", name="team")["lifecycle"] == "archived"
    for verb, args in {
        "brain.activate": {},
        "brain.reset": {},
        "brain.bind": {},
    }.items():
        with pytest.raises(KhiveError, match="archived"):
            call(context, verb, name="team", **args)
    with pytest.raises(Denied, match="archived"):
        call(context, "brain.feedback", target="m1", signal="useful", profile="team")
    with pytest.raises(InvalidInput, match="already"):
        make_profile(context)
    for verb in ("brain.deactivate", "brain.archive"):
        with pytest.raises(Denied, match="serves whatever"):
            call(context, verb, name=DEFAULT)


@pytest.mark.parametrize(
    "verb", ["profile", "activate", "deactivate", "archive", "reset", "bind", "replay"]
)
def test_a_profile_that_does_not_exist(context: Context, verb: str) -> None:
    with pytest.raises(NotFound, match="no profile 'nobody'") as caught:
        call(context, f"brain.{verb}", name="nobody")
    assert "brain.profiles" in caught.value.hint


# --- who is served --------------------------------------------------------------------------------


def test_a_binding_decides_who_is_served(context: Context, make: Make) -> None:
    make_profile(context)
    assert "no binding" in call(context, "brain.resolve")["why"]
    bound = call(context, "brain.bind", name="team", actor="ada", consumer_kind="recall")["bound"]
    assert (bound["profile"], bound["namespace"], bound["priority"]) == ("team", "*", 0)
    assert call(context, "brain.resolve")["profile"] == "team"
    assert call(context, "brain.resolve")["binding"]["actor"] == "ada"
    assert call(context, "brain.resolve", consumer_kind="search")["profile"] == DEFAULT
    assert call(context, "brain.resolve", actor="bob")["profile"] == DEFAULT
    assert call(make(actor="bob"), "brain.resolve", actor="ada")["profile"] == "team"
    assert len(call(context, "brain.profile", name="team")["bindings"]) == 1
    call(context, "brain.deactivate", name="team")
    assert call(context, "brain.resolve")["profile"] == DEFAULT
    again = call(
        context, "brain.bind", name="team", actor="ada", consumer_kind="recall", priority=5
    )
    assert again["replaced"]["priority"] == 0
    assert "inactive" in again["note"]
    removed = call(context, "brain.unbind", actor="ada")["removed"]
    assert [one["priority"] for one in removed] == [5]
    assert call(context, "brain.bindings")["bindings"] == []


def test_a_tie_is_refused_with_the_other_binding_and_a_way_out(context: Context) -> None:
    make_profile(context, "a")
    make_profile(context, "b")
    call(context, "brain.bind", name="a", actor="ada")
    with pytest.raises(InvalidInput, match=r"that of a \(actor ada") as caught:
        call(context, "brain.bind", name="b", namespace="default")
    assert "priority=1" in caught.value.hint
    call(context, "brain.bind", name="b", namespace="default", priority=1)
    assert call(context, "brain.resolve")["profile"] == "b"
    assert len(call(context, "brain.bindings", name="b")["bindings"]) == 1


@pytest.mark.parametrize(
    "args",
    [
        {"priority": 1001},
        {"priority": -1001},
        {"priority": 0.5},
        {"actor": ""},
        {"namespace": "a b"},
        {"actor": 5},
        {"more": 1},
    ],
)
def test_bindings_that_are_refused(context: Context, args: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        call(context, "brain.bind", name=DEFAULT, **args)
    assert context.store.bindings.all() == []


def test_a_namespace_that_is_not_allowed_cannot_be_bound(make: Make) -> None:
    context = make(session={"namespace": "mine", "allowed_namespaces": ["mine"]})
    with pytest.raises(Denied, match="not allowed"):
        call(context, "brain.bind", name=DEFAULT, namespace="theirs")
    with pytest.raises(Denied, match="not allowed"):
        call(context, "brain.resolve", namespace="theirs")


def test_nothing_is_unbound_without_a_filter(context: Context) -> None:
    with pytest.raises(InvalidInput, match="names nothing") as caught:
        call(context, "brain.unbind")
    assert "brain.bindings" in caught.value.hint


# --- feedback -------------------------------------------------------------------------------------


def test_feedback_teaches_the_profile_that_serves(context: Context) -> None:
    make_profile(context, "team")
    make_profile(context, "papers", consumer_kind="search")
    call(context, "brain.bind", name="team", consumer_kind="recall")
    call(context, "brain.bind", name="papers", consumer_kind="search")
    told = call(context, "brain.feedback", target="m1", signal="useful")
    assert told == {
        "status": "recorded", "profile": "team", "event": told["event"], "weight": 1.0,
        "counted": 1.0, "signal": "useful", "target": "m1",
    }  # fmt: skip
    assert call(context, "brain.feedback", target="k2", signal="wrong")["profile"] == "papers"
    assert call(context, "brain.feedback", target="m1", signal="useful", profile=DEFAULT)[
        "profile"
    ] == DEFAULT  # fmt: skip
    shown = call(context, "brain.profile", name="team")
    assert shown["weights"]["salience"]["ess"] == 11.0
    assert shown["events"] == 1
    assert [(one["id"], one["mean"], one["events"]) for one in shown["targets"]] == [
        ("m1", 0.6667, 1)
    ]
    assert call(context, "brain.profile", name="team", targets=0)["targets"] == []


def test_what_does_not_count_is_said(context: Context) -> None:
    for _ in range(2):
        assert "note" not in call(context, "brain.feedback", target="m1", signal="wrong")
    told = call(context, "brain.feedback", target="m1", signal="wrong")
    assert told["counted"] == 0.0
    assert "of 1, 0 counted" in told["note"]
    first = call(context, "brain.feedback", target="m3", signal="useful", scorer_run="r", serve="1")
    again = call(context, "brain.feedback", target="m3", signal="useful", scorer_run="r", serve="1")
    assert (again["status"], again["event"], again["counted"]) == ("duplicate", first["event"], 0)
    assert "counts once" in again["note"]


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        ({"target": "m9", "signal": "useful"}, NotFound, "no entry m9"),
        ({"target": "k1", "signal": "useful"}, NotFound, "no entry k1"),
        ({"target": "1", "signal": "useful"}, InvalidInput, "not an id"),
        ({"target": "m1", "signal": "lovely"}, InvalidInput, "lovely"),
        ({"target": "m1", "signal": "recall_hit"}, InvalidInput, "recall_hit"),
        ({"target": "m1"}, InvalidInput, "signal"),
        ({"signal": "useful"}, InvalidInput, "target"),
        ({"target": "m1", "signal": "useful", "profile": "no"}, NotFound, "no profile 'no'"),
        ({"target": "m1", "signal": "useful", "scorer_run": "r"}, InvalidInput, "no serve"),
        ({"target": "m3", "signal": "useful"}, InvalidInput, "forgotten"),
    ],
)
def test_feedback_that_is_refused(
    context: Context, args: dict[str, Any], kind: type[KhiveError], message: str
) -> None:
    call(context, "memory.forget", ids=["m3"])
    with pytest.raises(kind, match=message) as caught:
        call(context, "brain.feedback", **args)
    assert caught.value.hint
    assert context.store.profiles.all()[0].events == 0


def test_what_another_namespace_holds_is_not_judged_here(make: Make, context: Context) -> None:
    inside = make(session={"namespace": "mine", "allowed_namespaces": ["mine"]})
    with pytest.raises(Denied, match="not allowed"):
        call(inside, "brain.feedback", target="m1", signal="useful")
    call(context, "brain.feedback", target="m1", signal="useful")
    assert call(inside, "brain.profile", name=DEFAULT)["targets"] == []


RESULTS = [{"id": "m1", "score": 0.5}, {"id": "k2"}]


@pytest.mark.parametrize(
    ("args", "signal", "weights"),
    [
        ({}, None, (7, 3, 1, 9)),
        ({"target": "m1"}, "recall_hit", (8, 3, 1, 9)),
        ({"target": "m1", "latency_us": 900}, "recall_hit", (8, 3, 2, 9)),
        ({"target": "k2", "latency_us": 90_000}, "recall_hit", (8, 3, 1, 10)),
        ({"signal": "recall_miss"}, "recall_miss", (7, 4, 1, 9)),
        ({"signal": "recall_miss", "results": []}, "recall_miss", (7, 4, 1, 9)),
    ],
)
def test_a_recall_teaches_its_profile(
    context: Context, args: dict[str, Any], signal: str | None, weights: tuple[float, ...]
) -> None:
    told = call(context, "brain.auto_feedback", **{"query": "x", "results": RESULTS, **args})
    assert told.get("signal") == signal
    assert told.get("target") == args.get("target")
    found = context.store.profiles.all()[0]
    relevance, temporal = found.weights.relevance, found.weights.temporal
    assert (relevance.alpha, relevance.beta, temporal.alpha, temporal.beta) == weights
    assert found.events == 1
    event = context.store.profiles.events(DEFAULT)[-1]
    assert event.detail["results"] == [one["id"] for one in args.get("results", RESULTS)]
    assert (event.kind, event.session, event.actor) == ("auto_feedback", "s", "ada")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"target": "m3"}, "not among the results"),
        ({"target": "m1", "signal": "recall_miss"}, "has no target"),
        ({"signal": "recall_hit"}, "names the result"),
        ({"signal": "useful"}, "useful"),
        ({"results": [{"id": "m9"}]}, "no entry m9"),
        ({"results": ["m1"]}, "results"),
        ({"latency_us": -1}, "latency_us"),
        ({"target": "m1", "profile": "no"}, "no profile"),
    ],
)
def test_a_recall_s_feedback_that_is_refused(
    context: Context, args: dict[str, Any], message: str
) -> None:
    with pytest.raises(KhiveError, match=message):
        call(context, "brain.auto_feedback", **{"query": "x", "results": RESULTS, **args})
    assert context.store.profiles.all()[0].events == 0


def test_events_are_counted_and_computed_again(context: Context) -> None:
    call(context, "brain.feedback", target="m1", signal="useful")
    call(context, "brain.auto_feedback", query="x", results=RESULTS, target="k2")
    counts = call(context, "brain.event_counts", since="1h", group="signal", actor="ada")
    assert counts["counts"] == [
        {"signal": "recall_hit", "events": 1, "counted": 1.0},
        {"signal": "useful", "events": 1, "counted": 1.0},
    ]
    assert counts["events"] == 2
    assert call(context, "brain.event_counts", since="1h", until="30m")["events"] == 0
    for bad in ({"since": "yesterday"}, {"since": "1h", "group": "colour"}, {}):
        with pytest.raises(InvalidInput):
            call(context, "brain.event_counts", **bad)
    make_profile(context)
    call(context, "brain.reset", name="team")
    assert call(context, "brain.replay", name="team")["equal"]
    assert isinstance(context.store, SqliteStore)
    context.store.database.rows("UPDATE posteriors SET beta = 9.5 WHERE profile_id = 1")
    told = call(context, "brain.replay")
    assert not told["equal"]
    assert [one["equal"] for one in told["profiles"]] == [False, True]
    assert "in the tables" in told["profiles"][0]["differences"][0]


# --- many sessions --------------------------------------------------------------------------------


def test_a_profile_that_another_session_made_takes_feedback_at_once(
    make: Make, context: Context
) -> None:
    earlier = make("t")
    assert call(earlier, "brain.resolve")["profile"] == DEFAULT
    make_profile(context, "late")
    told = call(earlier, "brain.feedback", target="m1", signal="useful", profile="late")
    assert (told["profile"], told["counted"]) == ("late", 1.0)
    assert earlier.profiles.find("late").name == "late"
    with pytest.raises(NotFound, match="no profile 'later'"):
        call(earlier, "brain.feedback", target="m1", signal="useful", profile="later")
    with pytest.raises(NotFound, match="no profile 'later'"):
        earlier.profiles.find("later")
    call(context, "brain.bind", name="late", consumer_kind="recall")
    assert call(earlier, "brain.feedback", target="m3", signal="useful")["profile"] == "late"
    assert call(context, "brain.profile", name="late")["events"] == 2


def test_the_kinds_of_all_packs_can_be_bound(context: Context) -> None:
    assert REGISTRY.consumer_kinds == ("recall", "search")
    for kind in (*REGISTRY.consumer_kinds, "*"):
        call(context, "brain.bind", name=DEFAULT, consumer_kind=kind)
