"""Finding a repository without git: what its files say, and what they only claim."""

from __future__ import annotations

import os
from pathlib import Path

import git_layouts
import pytest
from git_layouts import git_directory

from khive_supervisor.errors import NoPlace
from khive_supervisor.vcs import git_repository as repository
from khive_supervisor.vcs.git_repository import check_writable_parts, find, own_of


def worktree(main: Path, top: Path) -> Path:
    """Make a worktree; return its own git directory."""
    git_layouts.worktree(main / ".git", top)
    return main / ".git/worktrees/side"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    git_directory(tmp_path / "main/.git")
    return tmp_path / "main"


def test_the_main_checkout_is_found_from_below(main: Path) -> None:
    (main / "a/b").mkdir(parents=True)
    found = find(str(main / "a/b"))
    assert found is not None
    assert (found.common, found.own) == (f"{main}/.git", f"{main}/.git")
    assert (found.top, found.prefix, found.main, found.claimed) == (
        str(main), "a/b", str(main), False,
    )  # fmt: skip
    at_top = find(str(main))
    assert at_top is not None
    assert at_top.prefix == ""


def test_without_a_repository_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert find(str(tmp_path / "plain")) is None
    (tmp_path / "plain/.git").mkdir()
    assert find(str(tmp_path / "plain")) is None  # empty, as an unfinished clone's


@pytest.mark.parametrize("part", ["HEAD", "objects", "refs"])
def test_what_lacks_a_part_is_no_repository(main: Path, part: str) -> None:
    (main / ".git" / part).rename(main / "away")
    assert find(str(main)) is None


def test_a_worktree_is_found_with_what_it_shares(main: Path, tmp_path: Path) -> None:
    own = worktree(main, tmp_path / "side")
    found = find(str(tmp_path / "side"))
    assert found is not None
    assert (found.own, found.common) == (str(own), f"{main}/.git")
    assert (found.top, found.main, found.claimed) == (str(tmp_path / "side"), str(main), False)
    assert own_of(str(tmp_path / "side"), f"{main}/.git") == str(own)


def test_a_bare_repository_is_its_own_top(tmp_path: Path) -> None:
    git_directory(tmp_path / "bare.git")
    found = find(str(tmp_path / "bare.git/refs"))
    assert found is not None
    assert (found.top, found.prefix, found.main) == (
        str(tmp_path / "bare.git"), "refs", str(tmp_path / "bare.git"),
    )  # fmt: skip
    assert not found.claimed


def test_a_submodule_belongs_to_the_checkout_around_it(main: Path) -> None:
    own = git_directory(main / ".git/modules/part")
    (main / "part").mkdir()
    (main / "part/.git").write_text("gitdir: ../.git/modules/part\n")
    found = find(str(main / "part"))
    assert found is not None
    assert (found.common, found.claimed) == (str(own), False)


def test_who_names_a_git_directory_elsewhere_only_claims_it(main: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / ".git").write_text(f"gitdir: {main}/.git\n")
    found = find(str(fake))
    assert found is not None
    assert found.claimed
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ".git").symlink_to(main / ".git")
    found = find(str(linked))
    assert found is not None
    assert found.claimed


def test_a_worktree_that_its_repository_does_not_name_only_claims_it(
    main: Path, tmp_path: Path
) -> None:
    own = worktree(main, tmp_path / "side")
    (own / "gitdir").write_text(f"{tmp_path}/another/.git\n")
    found = find(str(tmp_path / "side"))
    assert found is not None
    assert found.claimed
    assert own_of(str(tmp_path / "side"), f"{main}/.git") == ""


@pytest.mark.parametrize("text", ["", "gitdir: ", "somewhere", "gitdir: /nowhere", "x" * 9000])
def test_a_file_that_names_nothing_is_no_repository(tmp_path: Path, text: str) -> None:
    (tmp_path / ".git").write_text(text)
    assert find(str(tmp_path)) is None
    assert own_of(str(tmp_path), "/anywhere/.git") == ""


def test_a_link_to_a_naming_file_is_nobodys_own(main: Path, tmp_path: Path) -> None:
    worktree(main, tmp_path / "side")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/.git").symlink_to(tmp_path / "side/.git")
    assert own_of(str(tmp_path / "copy"), f"{main}/.git") == ""


def test_what_another_user_owns_is_refused(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(NoPlace, match="not to this user") as caught:
        find(str(main))
    assert "clone of your own" in caught.value.hint


@pytest.mark.parametrize(
    ("link", "branch", "refused"),
    [
        ("worktrees", "khive/t1", True),
        ("packed-refs", "khive/t1", True),
        ("reftable", "khive/t1", True),
        ("refs", "khive/t1", True),
        ("refs/heads", "khive/t1", True),
        ("refs/heads/khive", "khive/t1", True),
        ("refs/heads/khive", "main", False),
        ("refs/tags", "khive/t1", False),
        ("hooks", "khive/t1", False),
    ],
)
def test_links_where_git_would_write_are_refused(
    tmp_path: Path, link: str, branch: str, refused: bool
) -> None:
    common = tmp_path / "g"
    (common / link).parent.mkdir(parents=True)
    (common / link).symlink_to(tmp_path / "elsewhere")
    if refused:
        with pytest.raises(NoPlace, match="is a symbolic link"):
            check_writable_parts(str(common), branch)
    else:
        check_writable_parts(str(common), branch)


def test_a_naming_file_is_read_up_to_a_bound(main: Path, tmp_path: Path) -> None:
    worktree(main, tmp_path / "side")
    named = (tmp_path / "side/.git").read_text()
    (tmp_path / "side/.git").write_text(named + "\n" * repository._NAMING)
    assert find(str(tmp_path / "side")) is None
