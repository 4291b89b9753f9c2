"""Profiles as people read them: what is learned, whom one serves, what a replay found."""

from __future__ import annotations

from typing import Any, cast

import pytest

from khive_supervisor.cli.render import profile_text as told
from khive_supervisor.cli.render.answers import PosteriorShown, ProfileShown

EVEN: PosteriorShown = {"mean": 0.5, "interval_90": (0.05, 0.95), "ess": 2.0}
SURE: PosteriorShown = {"mean": 0.704, "interval_90": (0.451, 0.899), "ess": 12.5}
BINDING = {
    "profile": "careful", "actor": "ada", "namespace": "*", "consumer_kind": "recall",
    "priority": 5,
}  # fmt: skip
TARGET = {**SURE, "id": "m7", "events": 3, "line": "the third door"}


def profile(**fields: object) -> ProfileShown:
    whole: dict[str, Any] = {
        "name": "careful", "lifecycle": "active", "consumer_kind": "recall",
        "weights": {"relevance": SURE, "salience": EVEN, "temporal": EVEN}, "events": 4,
        "resets": 1, "created_at": "2026-11-01", "updated_at": "2026-11-02", "targets": [],
        "bindings": [],
    }  # fmt: skip
    return cast("ProfileShown", {**whole, **fields})


def paragraphs(answer: ProfileShown) -> list[str]:
    return told.profile_text(answer).split("\n\n")


def test_a_share_is_its_mean_between_its_bounds() -> None:
    assert told.share(SURE) == "0.70 [0.45, 0.90]"
    assert told.share(EVEN) == "0.50 [0.05, 0.95]"


def test_profiles_are_a_line_each() -> None:
    rows = told.profiles_text({"profiles": [profile(bindings=3), profile(name="b", bindings=0)]})
    heading, one, two = rows.splitlines()
    assert heading.split() == [
        "PROFILE", "LIFECYCLE", "KIND", "RELEVANCE", "SALIENCE", "TEMPORAL", "EVENTS", "BINDINGS",
    ]  # fmt: skip
    assert one.split()[:4] == ["careful", "active", "recall", "0.70"]
    assert one.split()[-2:] == ["4", "3"]
    assert two.split()[0] == "b"
    assert told.profiles_text({"profiles": []}) == "No profile."


def test_a_profile_begins_with_its_name_and_what_it_is_for() -> None:
    head = paragraphs(profile(description="asks\ttwice"))[0].splitlines()
    assert head == [
        "careful: active",
        "for     asks\\ttwice",
        "ranks   recall",
        "events  4, resets 1",
        "made    2026-11-01",
        "changed 2026-11-02",
    ]


def test_a_profile_that_says_nothing_of_itself_has_no_line_for_it() -> None:
    for said in ({}, {"description": ""}):
        assert not any(
            line.startswith("for") for line in paragraphs(profile(**said))[0].split("\n")
        )


def test_weights_tell_how_much_they_are_worth() -> None:
    rows = [line.split() for line in paragraphs(profile())[1].splitlines()[1:]]
    assert rows[0] == ["relevance", "0.70", "[0.45,", "0.90]", "12.5"]
    assert rows[1] == ["salience", "0.50", "[0.05,", "0.95]", "2"]


def test_entries_of_which_something_is_learned_are_shown() -> None:
    (row,) = paragraphs(profile(targets=[TARGET]))[2].splitlines()[1:]
    assert row.split() == ["m7", "0.70", "[0.45,", "0.90]", "3", "the", "third", "door"]
    assert paragraphs(profile())[2] == "Nothing is learned of any entry yet."


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bindings": [BINDING]}, "PROFILE"),
        ({"bindings": [], "builtin": "yes"}, "Serves whatever no binding names."),
        ({"bindings": []}, "Serves nobody: `khive-supervisor bind` says whom."),
    ],
)
def test_whom_a_profile_serves_is_said(fields: dict[str, object], said: str) -> None:
    assert paragraphs(profile(**fields))[3].startswith(said)


def test_bindings_are_a_line_each() -> None:
    (row,) = told.bindings_text([BINDING]).splitlines()[1:]
    assert row.split() == ["careful", "ada", "*", "recall", "5"]
    assert told.bindings_text([]) == "No bindings."
    assert told.binding_line(BINDING) == "careful: actor ada, namespace *, kind recall, priority 5"


def test_a_change_of_a_profile_is_one_line() -> None:
    line = told.change_line(profile(targets=[TARGET, {**TARGET, "id": "m8"}], bindings=[BINDING]))
    assert line == (
        "2026-11-02  careful active  relevance 0.70 [0.45, 0.90]  salience 0.50 [0.05, 0.95]  "
        "temporal 0.50 [0.05, 0.95]  events 4  bindings 1  m7=0.70 m8=0.70"
    )
    assert told.change_line(profile()).endswith("bindings 0")


def test_a_resolution_says_who_serves_and_why() -> None:
    answer = {"profile": "careful", "weights": {"relevance": 0.7, "salience": 1}, "why": "bound"}
    assert told.resolution_text(answer).splitlines() == [
        "careful (relevance 0.7, salience 1)",
        "bound",
    ]
    bound = told.resolution_text({**answer, "binding": BINDING})
    assert bound.splitlines()[2] == told.binding_line(BINDING)


def test_feedback_says_what_it_counted_and_what_to_note() -> None:
    answer = {
        "target": "m7", "signal": "useful", "status": "counted", "profile": "careful",
        "counted": 0.25, "weight": 1.0,
    }  # fmt: skip
    line = "m7 useful: counted for careful, counted 0.25 of 1"
    assert told.feedback_text(answer) == line
    assert told.feedback_text({**answer, "note": "twice today"}) == f"{line}\nnote: twice today"


def test_a_replay_names_what_differs() -> None:
    answer = {
        "profiles": [
            {"name": "a", "equal": True},
            {"name": "b", "equal": False, "differences": ["alpha 2, replayed 3", "m7 is missing"]},
        ]
    }
    assert told.replay_text(answer).splitlines() == [
        "a: equal", "b: differs", "    alpha 2, replayed 3", "    m7 is missing",
    ]  # fmt: skip
    assert told.replay_text({"profiles": []}) == ""
