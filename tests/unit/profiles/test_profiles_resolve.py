"""Which profile serves: the longest match, and no ties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import Denied, InvalidInput
from khive_supervisor.profiles.model import ANY, DEFAULT, Binding, Profile, Weights
from khive_supervisor.profiles.names import check_transition, checked_name
from khive_supervisor.profiles.resolve import check_ties, matches, overlap, rank, resolve, ties
from khive_supervisor.profiles.snapshot import Snapshot, load_snapshot


def profile(name: str, lifecycle: str = "active") -> Profile:
    return Profile(
        1, name, "", "recall", lifecycle, name == DEFAULT, 0, 0, 0.0, 0.0, Weights(), Weights()
    )


PROFILES = {name: profile(name) for name in (DEFAULT, "a", "b", "c")}
SNAPSHOT = Snapshot({**PROFILES, "off": profile("off", "inactive")}, ())

FIELD = st.sampled_from([ANY, "x", "y"])
BINDING = st.builds(
    Binding, st.sampled_from(["a", "b", "c", "off"]), FIELD, FIELD, FIELD, st.integers(-2, 2)
)
ASKED = st.sampled_from(["x", "y", "z"])


def served(bindings: list[Binding], *call: str) -> str:
    return replace(SNAPSHOT, bindings=bindings).resolve(*call).profile.name


@pytest.mark.parametrize(
    ("bindings", "expected"),
    [
        ([], DEFAULT),
        ([Binding("a")], "a"),
        ([Binding("a", actor="other")], DEFAULT),
        ([Binding("a"), Binding("b", consumer_kind="recall")], "b"),
        ([Binding("a", priority=999), Binding("b", actor="ada")], "b"),
        ([Binding("a", "ada", "n"), Binding("b", "ada", "n", "recall", -5)], "b"),
        ([Binding("a", "ada", priority=1), Binding("b", namespace="n", priority=2)], "b"),
        ([Binding("a", namespace="n"), Binding("b", "ada")], "b"),
        ([Binding("a", consumer_kind="recall"), Binding("b", namespace="n")], "b"),
        ([Binding("off", "ada", "n", "recall"), Binding("b", "ada")], "b"),
        ([Binding("off")], DEFAULT),
        ([Binding("not in the snapshot", "ada")], DEFAULT),
    ],
)
def test_the_longest_match_serves(bindings: list[Binding], expected: str) -> None:
    assert served(bindings, "ada", "n", "recall") == expected
    assert served(bindings[::-1], "ada", "n", "recall") == expected


def test_the_binding_that_decided_is_told() -> None:
    bound = Binding("a", "ada")
    found = resolve(PROFILES, [bound], PROFILES[DEFAULT], "ada", "n", "recall")
    assert found.binding == bound
    assert SNAPSHOT.resolve("ada", "n", "recall").binding is None


@given(st.lists(BINDING, max_size=8, unique_by=lambda b: b.key), ASKED, ASKED, ASKED)
def test_nothing_that_matches_says_more_than_what_serves(
    bindings: list[Binding], actor: str, namespace: str, kind: str
) -> None:
    found = replace(SNAPSHOT, bindings=bindings).resolve(actor, namespace, kind)
    candidates = [
        one for one in bindings if matches(one, actor, namespace, kind) and one.profile != "off"
    ]
    if found.binding is None:
        assert (candidates, found.profile.name) == ([], DEFAULT)
    else:
        assert found.binding in candidates
        assert all(rank(one) < rank(found.binding) for one in candidates if one != found.binding)


@given(st.lists(BINDING, max_size=8), ASKED, ASKED, ASKED)
def test_bindings_that_were_let_in_never_tie(
    bindings: list[Binding], actor: str, namespace: str, kind: str
) -> None:
    held: list[Binding] = []
    for one in bindings:
        try:
            check_ties(one, held)
        except InvalidInput:
            continue
        held = [*(other for other in held if other.key != one.key), one]
    found = [one for one in held if matches(one, actor, namespace, kind)]
    assert len({rank(one)[:2] for one in found}) == len(found)


@given(BINDING, st.lists(BINDING, max_size=8))
def test_the_priorities_that_an_error_suggests_are_free(
    new: Binding, existing: list[Binding]
) -> None:
    if ties(new, existing) is None:
        check_ties(new, existing)
        return
    with pytest.raises(InvalidInput) as caught:
        check_ties(new, existing)
    words = caught.value.hint.replace(",", " ").split()
    suggested = [int(w.removeprefix("priority=")) for w in words if w.startswith("priority=")]
    assert len(suggested) == 2
    for priority in suggested:
        check_ties(replace(new, priority=priority), existing)


def test_a_tie_names_the_other_binding() -> None:
    with pytest.raises(InvalidInput, match=r"that of b \(actor \*, namespace n,") as caught:
        check_ties(Binding("a", "ada"), [Binding("b", namespace="n")])
    assert "priority=1" in caught.value.hint
    highest = Binding("b", namespace="n", priority=1000)
    with pytest.raises(InvalidInput) as caught:
        check_ties(Binding("a", "ada", priority=1000), [highest])
    assert caught.value.hint == "Bind with priority=999 to come after it, or name more fields."
    # The same key replaces, other values never meet, and another number of fields decides.
    check_ties(Binding("a", "ada"), [Binding("b", "ada"), Binding("b", "bob"), Binding("c")])
    check_ties(Binding("a", "ada"), [Binding("b", namespace="n", priority=1)])


@given(BINDING, BINDING)
def test_overlap_is_mutual_and_means_that_a_call_matches_both(one: Binding, other: Binding) -> None:
    calls = [(x, y, z) for x in "xyz" for y in "xyz" for z in "xyz"]
    both = any(matches(one, *call) and matches(other, *call) for call in calls)
    assert overlap(one, other) == overlap(other, one) == both


@pytest.mark.parametrize("name", ["a", "A-1", "x" * 64, "  trimmed  ", "--"])
def test_names_that_a_profile_may_have(name: str) -> None:
    assert checked_name(name) == name.strip()


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 65, "a b", "a_b", "é", "a\nb", "a/b", "a*", "a\0b"]
)
def test_names_that_a_profile_may_not_have(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a profile's name") as caught:
        checked_name(name)
    assert "hyphens" in caught.value.hint


@pytest.mark.parametrize(
    ("now", "wanted", "changes"),
    [
        ("active", "inactive", True),
        ("inactive", "active", True),
        ("inactive", "archived", True),
        ("active", "active", False),
        ("archived", "archived", False),
    ],
)
def test_ways_from_one_lifecycle_to_another(now: str, wanted: str, changes: bool) -> None:
    assert check_transition("a", now, wanted, builtin=False) is changes


def test_ways_that_there_are_not() -> None:
    with pytest.raises(InvalidInput, match="active; it cannot become archived") as caught:
        check_transition("a", "active", "archived", builtin=False)
    assert "brain.deactivate" in caught.value.hint
    for wanted in ("active", "inactive"):
        with pytest.raises(InvalidInput, match="archived, and that is final"):
            check_transition("a", "archived", wanted, builtin=False)
    for wanted in ("inactive", "archived"):
        with pytest.raises(Denied, match="stays active"):
            check_transition(DEFAULT, "active", wanted, builtin=True)


class Source:
    """A store in which a profile is made and bound after the first statement."""

    def __init__(self) -> None:
        self.made, self.bound = [profile(DEFAULT)], list[Binding]()

    def bindings(self) -> list[Binding]:
        found, self.bound = self.bound, [Binding("a")]
        self.made = [*self.made, profile("a")]
        return found

    def profiles(self, lifecycle: str | None = None) -> list[Profile]:
        return self.made


def test_a_snapshot_has_the_profile_of_each_of_its_bindings() -> None:
    source = Source()
    for _ in range(2):
        snapshot = load_snapshot(source.profiles, source.bindings)
        assert {one.profile for one in snapshot.bindings} <= set(snapshot.profiles)
        assert snapshot.find(DEFAULT) == snapshot.default
        assert snapshot.find("b") is None
    assert snapshot.resolve("ada", "n", "recall").profile.name == "a"
