"""The short commands of memory: what they print of what the verbs answer, and what they take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.session import Invocation
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.verbs.answers import ShownResult

Khive = Callable[..., Result]


def test_a_memory_s_life_on_the_command_line(khive: Khive) -> None:
    said = khive("remember", "the kettle is upstairs", "--title", "Tea", "--tag", "a", "--tag", "b")
    assert said.output == "m1 stored (namespace default)\n"
    head, title, content = khive("recall", "kettle").output.splitlines()[:3]
    assert head.split()[0] == "m1"
    assert head.split()[3:] == ["a", "b"]
    assert (title, content) == ("    Tea", "    the kettle is upstairs")
    whole = khive("get", "m1").output
    assert "tags: a, b\n" in whole
    assert whole.rstrip().endswith("\n\nthe kettle is upstairs")
    assert khive("supersede", "m1", "it is in the cellar").output == "m2 supersedes m1\n"
    assert "upstairs" not in khive("recall", "kettle cellar").output
    assert khive("forget", "m2").output == "Forgotten: m2.\n"
    assert khive("recall", "cellar").output.startswith("Nothing was found.")
    assert khive("forget", "m2").output == "Forgotten: nothing. Unchanged: m2.\n"
    assert khive("forget", "m2", "--undo").output == "Restored: m2.\n"
    assert khive("forget", "m2", "--undo").output == "Restored: nothing. Unchanged: m2.\n"


def test_a_correction_says_what_changes_beside_the_text(khive: Khive) -> None:
    khive("remember", "the kettle is upstairs", "--tag", "a", "--valid-until", "2100-01-01")
    khive("supersede", "m1", "the kettle is in the cellar", "--kind", "rule", "--valid-until", "")
    whole = khive("get", "m2").output
    assert "kind: rule\n" in whole
    assert "tags: a\n" in whole
    assert "valid_until" not in whole


def test_what_is_known_already_says_what_was_added(khive: Khive) -> None:
    khive("remember", "the kettle is upstairs")
    lines = khive("remember", "the kettle is upstairs", "--tag", "a", "--tag", "b").output
    assert lines.splitlines() == [
        "m1 already known (namespace default)",
        "    added: tags a, b",
    ]


@pytest.mark.parametrize("words", [(), ("-",)])
def test_content_can_come_from_standard_input(khive: Khive, words: tuple[str, ...]) -> None:
    khive("remember", *words, given="from a\npipe ä\n")
    assert "from a\npipe ä" in khive("get", "m1").output


def test_standard_input_that_is_no_text_is_refused(khive: Khive) -> None:
    done = khive("remember", given=b"abc\xff", code=exitcodes.USAGE)
    assert isinstance(done.exception, InvalidInput)
    assert "at byte 3" in done.exception.message
    assert "iconv" in done.exception.hint


@pytest.mark.parametrize("words", [("get", "m7"), ("supersede", "m7", "x"), ("get", "nonsense")])
def test_an_entry_that_is_not_there_is_an_error_with_what_to_do(
    khive: Khive, words: tuple[str, ...]
) -> None:
    done = khive(*words, code=exitcodes.FAILURE)
    assert isinstance(done.exception, KhiveError)
    assert done.exception.hint


def test_of_several_entries_those_there_are_shown_and_the_rest_is_noted(khive: Khive) -> None:
    khive("remember", "one")
    khive("remember", "two")
    blocks = khive("get", "m1", "m9", "m2").output.rstrip().split("\n\n")
    assert [one for one in blocks if one in ("one", "two")] == ["one", "two"]
    assert blocks[-1].startswith("note: ")
    assert "m9" in blocks[-1]


def test_a_search_is_of_what_was_learned(khive: Khive, home: Any) -> None:
    khive("remember", "the kettle is upstairs")
    (home / "tea.md").write_text("# Tea\n\nThe kettle whistles.\n")
    khive("learn", str(home / "tea.md"))
    found = khive("search", "kettle").output
    assert found.split()[0] == "k2"
    assert f"    from {home}/tea.md" in found.splitlines()
    assert "m1" in khive("search", "kettle", "--in", "all").output
    assert khive("search", "kettle", "--kind", "none-such").output.startswith("Nothing was found.")


def test_a_suggestion_is_a_line(khive: Khive, home: Any) -> None:
    assert khive("suggest", "make tea").output == "Nothing.\n"
    (home / "tea.md").write_text("# Tea\n\nHow to make tea.\n")
    khive("learn", str(home / "tea.md"))
    heading, line = khive("suggest", "make tea").output.splitlines()
    assert heading.split() == ["ID", "WHY", "WHAT"]
    assert line.split()[0] == "k1"


def test_results_explain_themselves_when_asked(khive: Khive) -> None:
    khive("remember", "the kettle is upstairs")
    plain, explained = khive("recall", "kettle"), khive("recall", "kettle", "--explain")
    assert "=" not in plain.output
    assert any("=" in line for line in explained.output.splitlines())


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--since", "yesterday"), True),
        (("--since", "1d"), True),
        (("--until", "2001-01-01"), False),
        (("--until", "1d"), False),
        (("--tag", "tea"), True),
        (("--tag", "coffee"), False),
        (("--kind", "semantic"), True),
        (("--namespace", "elsewhere"), False),
    ],
)
def test_filters_are_those_of_the_verb(
    khive: Khive, words: tuple[str, ...], *, found: bool
) -> None:
    khive("remember", "the kettle is upstairs", "--tag", "tea")
    assert khive("recall", "kettle", *words).output.startswith("m1") == found


def test_a_long_result_is_cut_to_its_first_lines(khive: Khive) -> None:
    khive("remember", "\n".join(f"kettle {number}" for number in range(20)))
    lines = khive("recall", "kettle").output.splitlines()
    assert [line for line in lines if "kettle" in line] == [f"    kettle {n}" for n in range(8)]


def test_json_is_what_the_verb_answers(khive: Khive) -> None:
    stored = json.loads(khive("remember", "the kettle", "--json").output)
    assert stored["id"] == "m1"
    for words in (
        ("recall", "kettle"), ("search", "kettle"), ("suggest", "kettle"), ("get", "m1"),
        ("supersede", "m1", "the pot"), ("forget", "m2"), ("forget", "m2", "--undo"),
    ):  # fmt: skip
        assert isinstance(json.loads(khive(*words, "--json").output), dict)


def test_what_was_stored_cannot_act_on_the_terminal(khive: Khive) -> None:
    khive("remember", "kettle \x1b[2J", "--title", "a\x1b]0;b", "--tag", "t\x07")
    for words in (("recall", "kettle"), ("get", "m1")):
        assert "\x1b" not in khive(*words).output
        assert "\x07" not in khive(*words).output


# --- what the verbs may answer --------------------------------------------------------------------


@pytest.fixture
def answered(khive: Khive, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What a command prints of an answer."""

    def printed(answer: dict[str, Any], *words: str) -> list[str]:
        monkeypatch.setattr(Invocation, "ask", lambda *_given, **_args: answer)
        return khive(*words).output.splitlines()

    return printed


RESULT = {
    "id": "m1", "score": 0.51, "created_at": "2026-11-29", "kind": "fact", "content": "text",
}  # fmt: skip


def test_a_result_shows_what_it_has(answered: Callable[..., list[str]]) -> None:
    ranking = {"words": 1, "vector": None, "weight": 0.5}
    whole = {
        **RESULT, "title": "Tea", "tags": ["a"], "source": "/tea.md", "why": "words",
        "ranking": ranking,
    }  # fmt: skip
    assert answered({"results": [whole]}, "recall", "x") == [
        "m1  0.51  2026-11-29  fact  words  a",
        "    Tea",
        "    text",
        "    from /tea.md",
        "    words=1  weight=0.5",
    ]


def test_each_mark_of_a_result_has_a_line(answered: Callable[..., list[str]]) -> None:
    elsewhere = {*RESULT, "title", "tags", "source", "project", "why", "ranking", "cut"}
    beside = {"before", "after", "pieces", "more_pieces"}
    marks = ShownResult.__annotations__.keys() - elsewhere - beside
    whole = {**RESULT, **{name: f"<{name}>" for name in marks}}
    told = answered({"results": [whole]}, "recall", "x")
    assert "branch" in marks
    assert [f"    {name}: <{name}>" for name in sorted(marks)] == sorted(told[1:-1])


def test_notes_and_how_was_searched_come_last(answered: Callable[..., list[str]]) -> None:
    answer = {"results": [RESULT], "notes": ["Only words."], "search": {"arms": "words", "n": 1}}
    assert answered(answer, "recall", "x")[-3:] == ["note: Only words.", "", "arms: words  n: 1"]


def test_what_was_not_taken_of_a_memory_is_said(answered: Callable[..., list[str]]) -> None:
    answer = {
        "id": "m1", "status": "already known", "namespace": "n", "added": {},
        "not_taken": {"title": "Tea", "tags": ["a", "b"]},
    }  # fmt: skip
    assert answered(answer, "remember", "x") == [
        "m1 already known (namespace n)",
        "    not taken: title Tea; tags a, b",
    ]


@pytest.mark.parametrize("undo", [False, True])
def test_what_was_changed_and_what_not_are_told_apart(
    answered: Callable[..., list[str]], *, undo: bool
) -> None:
    done, rest = ("restored", "unchanged") if undo else ("forgotten", "not_live")
    answer = {done: ["m1", "m2"], rest: ["m3"], "notes": ["m4 is not there."]}
    assert answered(answer, "forget", "m1", *(["--undo"] if undo else [])) == [
        f"{done.capitalize()}: m1, m2. Unchanged: m3.",
        "note: m4 is not there.",
    ]
