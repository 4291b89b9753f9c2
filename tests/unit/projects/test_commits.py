"""Which commits are learned: those that say why; and what is kept of each. Pure."""

from __future__ import annotations

import pytest

from khive_supervisor.projects import commits
from khive_supervisor.projects.commits import FIELD, RECORD, Commit, content, gives_reason, parsed

ID = "0123456789abcdef" * 2 + "01234567"


def commit(message: str, author: str = "Ada", parents: int = 1) -> Commit:
    return Commit(ID, parents, author, 1_700_000_000.0, message, ("src/retry.py",))


@pytest.mark.parametrize(
    "message",
    [
        "Cap the retries\n\nAn eighth attempt crosses the limiter's window of 30 s.",
        "fix: cap retries\n\nWe must stay below the window of the upstream.\n\nSigned-off-by: A",
        "Use SIGTERM rather than SIGKILL, so that workers finish what they hold",
        "fix the parser\n\nFixes the crash when a header is empty and folded.",
    ],
)
def test_a_commit_that_says_why_is_learned(message: str) -> None:
    assert gives_reason(commit(message))


@pytest.mark.parametrize(
    "message",
    [
        "Add a test",
        "",
        "\n\n",
        "Fix typos\n\nThere were several of them in all of the pages, in each language.",
        "Bump lodash from 1.2.3 to 1.2.4\n\nBumps lodash from 1.2.3 to 1.2.4 because it is new.",
        "Release 2.0.0\n\nThis has all that was decided in the last two months of work.",
        "v1.2.3",
        "chore(deps): update all dependencies to what is newest as of today, since it must be",
        "Cap the retries\n\nSigned-off-by: Ada <a@example.org>\nReviewed-by: Bob <b@example.org>",
        "Cap the retries\n\nFixes #12\nhttps://example.org/1\nChange-Id: I0123456789",
        'Revert "x"\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.',
        "fixup! Cap the retries because an eighth attempt crosses the window",
        "Because of it",
    ],
)
def test_one_without_a_reason_is_not(message: str) -> None:
    assert not gives_reason(commit(message))


def test_merges_and_programs_decide_nothing() -> None:
    message = "Cap the retries\n\nAn eighth attempt crosses the limiter's window."
    assert gives_reason(commit(message))
    assert not gives_reason(commit(message, parents=2))
    assert not gives_reason(commit(message, author="dependabot[bot]"))


def test_what_is_kept_is_the_reason_the_paths_and_who() -> None:
    said = content(commit("Cap the\nretries\n\nWhy so.\n\n\n\nMore.\n\nSigned-off-by: Ada <a@b>\n"))
    assert said == "Why so.\n\nMore. (src/retry.py; Ada)"
    assert content(commit("Cap the retries")) == "(src/retry.py; Ada)"
    assert commit("Cap the\nretries\n\nWhy.").subject == "Cap the retries"


@pytest.mark.parametrize("why", ["Why so.", "Because of it (see the talk).", "One.\n\nTwo (2)."])
def test_the_reason_alone_is_had_back(why: str) -> None:
    made = commit(f"Cap the retries\n\n{why}\n")
    assert commits.reason(content(made)) == made.body
    assert commits.reason(content(commit("Cap the retries"))) == "(src/retry.py; Ada)"


def test_what_is_kept_is_bounded() -> None:
    paths = tuple(f"f{number}" for number in range(100))
    large = Commit(ID, 1, "Ada", 1.0, f"s\n\n{'word ' * 10_000}", paths)
    assert len(content(large)) < commits.LONGEST + 200
    assert "f11 and 88 more" in content(large)


def test_what_git_prints_is_taken_apart() -> None:
    message, paths = "Subject\n\nBody\n", "\n\na.py\nb c.py\n"
    first = FIELD.join((ID, "aa bb", "Ada", "1700000000", message, paths))
    second = FIELD.join((ID, "", "", "5", "Only a subject", ""))
    (one, two) = parsed(f"{RECORD}{first}{RECORD}{second}")
    assert (one.parents, one.author, one.time) == (2, "Ada", 1_700_000_000.0)
    assert (one.subject, one.body, one.paths) == ("Subject", "Body", ("a.py", "b c.py"))
    assert (two.parents, two.subject, two.body, two.paths) == (0, "Only a subject", "", ())
    assert list(parsed("")) == []
    # A message that holds what separates records is cut there.
    cut = parsed(f"{RECORD}{first}{RECORD}rest{RECORD}{second}")
    assert [one.subject for one in cut] == ["Subject", "Only a subject"]
