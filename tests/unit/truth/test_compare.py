"""What a newer text is to an older one, by the rules alone: the pairs that judge them are data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.truth import reading
from khive_supervisor.truth.compare import (
    NEAR,
    OTHERWISE,
    SAME,
    Comparison,
    compare,
    rivals,
)
from khive_supervisor.truth.reading import classed, read, stemmed

PAIRS = Path(__file__).parents[3] / "benchmarks" / "truth"


def found(old: str, new: str, cosine: float | None = None) -> Comparison | None:
    return compare(read(new), read(old), cosine)


def kind(old: str, new: str, cosine: float | None = None) -> str | None:
    finding = found(old, new, cosine)
    return finding and finding.kind


def rows(name: str) -> list[list[str]]:
    text = (PAIRS / f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def test_pairs_that_contradict_each_other_are_found_without_a_model() -> None:
    pairs = [(old, new) for _, old, new, _ in rows("contradicting")]
    missed = [pair for pair in pairs if kind(*pair) != OTHERWISE]
    assert len(missed) <= 0.06 * len(pairs), missed


def test_what_holds_side_by_side_is_no_contradiction() -> None:
    assert [pair for pair in rows("both_hold") if kind(*pair) == OTHERWISE] == []
    asked = [(old, new) for old, new, *_ in rows("both_hold_asked")]
    assert len([pair for pair in asked if kind(*pair, 0.6) == OTHERWISE]) <= 0.02 * len(asked)


def test_changes_of_many_kinds_are_found() -> None:
    pairs = [(old, new) for _, old, new, _ in rows("changed")]
    found_ones = [pair for pair in pairs if kind(*pair, 0.7) == OTHERWISE]
    assert len(found_ones) >= 0.6 * len(pairs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{} is our primary database.", "We migrated from {} to MySQL."),
        ("The broker is {}.", "{} has been replaced with NATS."),
        ("Questions on it go to {}.", "Ask Tom, {} has moved to another team."),
        ("The command is {}.", "The command {} is called acme push these days."),
        ("{} is still available.", "{} has been shut down."),
        ("Sessions are kept in {}.", "We got rid of {}, sessions are signed cookies."),
        ("{} offers a lock.", "{} does not exist any more."),
        ("The helper is {}.", "{} is now simply called acme."),
    ],
)
@pytest.mark.parametrize("name", ["RabbitMQ", "acme-sync", "parse_ts", "Maria"])
def test_a_name_that_is_said_to_be_gone_makes_the_older_doubtful(
    old: str, new: str, name: str
) -> None:
    assert kind(old.format(name), new.format(name), 0.6) == OTHERWISE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The landing page is dynamic.", "The landing page is served by Fastly."),
        ("Ship notices go through Twilio.", "Ship notices are localised."),
    ],
)
def test_what_a_thing_is_and_what_is_done_with_it_hold_both(one: str, other: str) -> None:
    assert kind(one, other, 0.7) != OTHERWISE
    assert kind(other, one, 0.7) != OTHERWISE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The search service uses MySQL.", "The loyalty service moved from MySQL to Postgres."),
        ("Retries are on in the geocoding client.", "Retries were turned off in the mail client."),
        ("Bucket acme-raw is kept 30 days.", "Bucket acme-hot is now kept 90 days."),
        ("The quota for keys is 10.", "The quota for webhooks was raised to 50."),
        ("The Python SDK is at 2.8.", "The Go SDK was bumped to 3.0."),
        ("Feature flag new_cart is on.", "Feature flag new_search is off."),
        ("Version 3 is supported until 2026.", "Version 4 is supported until 2028."),
        ("Clara prefers dark themes.", "Tim prefers light themes."),
        ("The read timeout is 5 seconds.", "The connect timeout is 1 second."),
        ("GET calls are retried.", "PUT calls are never retried."),
        ("Users of the US shop pay in advance.", "Users of the IT shop pay on delivery."),
        ("Team Heron meets at 9:30.", "Team Stork meets at 11:00."),
        ("The buyer's mail is required.", "The buyer's fax is optional."),
    ],
)
def test_different_things_of_one_kind_are_no_contradiction(one: str, other: str) -> None:
    assert rivals(read(other), read(one))
    assert kind(one, other, 0.7) != OTHERWISE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The mobile build takes 18 minutes.", "The mobile build needs Xcode 15."),
        ("Temporary files go to /tmp/app.", "Temporary files are removed after an hour."),
    ],
)
def test_another_thing_that_is_said_of_the_same_is_no_contradiction(one: str, other: str) -> None:
    assert kind(one, other, 0.75) != OTHERWISE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The main table is called orders.", "orders was renamed to purchase."),
        ("The repository is acme/website.", "acme/website became acme/portal."),
        ("The CLI is called acme.", "Type acmectl, acme is no more."),
        ("The lab has a print server.", "The print server of the lab was torn down."),
    ],
)
def test_what_something_is_called_may_be_its_name_no_more(old: str, new: str) -> None:
    assert kind(old, new, 0.55) == OTHERWISE


def test_the_same_in_other_words_is_noticed() -> None:
    assert [pair for pair in rows("same") if kind(*pair) not in (SAME, NEAR)] == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("The cache holds 512 entries.", "The cache holds 2048 entries.", "512 -> 2048"),
        ("Sprint planning is on Tuesday.", "Sprint planning is on Friday.", "Tuesday -> Friday"),
        (
            "Mail is sent through SendGrid.",
            "Mail is sent through Postmark.",
            "SendGrid -> Postmark",
        ),
        ("The CLI supports Windows.", "The CLI does not support Windows.", "one of them says not"),
        ("Builds run on Jenkins.", "Builds run on Buildkite; Jenkins is gone.", "Jenkins"),
        ("The endpoint is public.", "The endpoint is private.", "public -> private"),
        ("Explain before code.", "Code before explain.", "the other way round"),
    ],
)
def test_a_contradiction_says_what_differs(old: str, new: str, why: str) -> None:
    finding = found(old, new)
    assert finding is not None
    assert finding.kind == OTHERWISE
    assert why in finding.why


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rack position 7-3 holds the switch.", "Rack position 3-7 holds the router."),
        ("Slot 4 takes an upgrade.", "Slot 5 takes a licence."),
        ("Station 12 has the drop.", "Station 13 has the ladder."),
    ],
)
def test_a_thing_that_is_called_like_a_change_is_a_thing(one: str, other: str) -> None:
    assert kind(one, other) != OTHERWISE
    assert kind(other, one) != OTHERWISE


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("We switched to pnpm.", True),
        ("Since the move we deploy with Render.", True),
        ("The rack holds the switch.", False),
    ],
)
def test_a_change_is_a_verb_or_an_event(text: str, *, changes: bool) -> None:
    (statement,) = read(text).statements
    assert statement.changes is changes
    assert ("switch" in statement.said) is (text == "The rack holds the switch.")


def test_a_model_that_finds_them_far_apart_is_believed() -> None:
    pair = ("Mail is sent through SendGrid.", "Mail is sent through Postmark.")
    assert kind(*pair, 0.9) == OTHERWISE
    assert kind(*pair, 0.1) is None


def test_long_texts_contradict_only_if_one_amends_what_was_said() -> None:
    shared = " ".join(f"word{chr(97 + n)}ing retry backoff limits gateway cap" for n in range(20))
    old, new = f"Settled: cap at 60. {shared}", f"Cap at 30. {shared}"
    assert kind(old, new, 0.9) is None
    assert kind(old, f"Amendment to the policy. {new}", 0.9) == OTHERWISE
    few = "Settled: retry uploads twice, the gateway keeps parts of them for an hour and no longer."
    assert kind(few, f"Amendment to the policy. {new}", 0.3) is None
    assert kind("Something else entirely.", f"Amendment to the policy. {new}", 0.9) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n",
        "?",
        "日本語の文",
        "🎉" * 50,
        "a" * 99_999,
        "1 " * 5000,
        "\0\ud800",
        "()" * 99,
    ],
)
def test_any_text_can_be_read(text: str) -> None:
    assert kind(text, text) in (None, SAME, NEAR)


def test_what_somebody_does_just_now_is_no_statement() -> None:
    assert kind("I will replace line 12.", "I will replace line 40.") is None
    assert kind("It is at line 12.", "It is at line 40.") is None
    assert kind("x = f(a)[1] == {2}", "x = f(a)[1] == {3}") is None


def test_words_are_told_by_their_stems_and_values_by_their_class() -> None:
    assert {stemmed(word) for word in ("ship", "ships", "shipped", "shipping")} == {"ship"}
    assert classed("three") == ("3", "number")
    assert classed("02:00")[1] == "time"
    assert classed("/etc/x.toml")[1] == "place"
    assert classed("monday")[1] == "day"
    assert classed("vault") == ("vault", "")


OF_WHAT_IS_GONE = """
    we dropped replaced by renamed to no longer use instead of rather than not in moved off from
    Redis is are has been gone switched turned out shut down deprecated left quit Anna superseded
    merged into swapped for called now another got rid decided against stopped using retired
    , . ; the queue
"""
SAYING_GONE = st.lists(
    st.sampled_from(OF_WHAT_IS_GONE.split()),
    min_size=1,
    max_size=14,
).map(" ".join)


@given(text=SAYING_GONE)
def test_what_is_looked_for_only_with_a_sign_of_it_is_found_all_the_same(text: str) -> None:
    every = [match.span() for match in reading._RETIRED.finditer(text)]
    assert [match.span() for match in reading._retiring(text)] == every
