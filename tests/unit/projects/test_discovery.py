"""The project of a directory: right where files answer each other, and never joined by a claim."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from git_layouts import COMMIT, git_directory, repository, submodule, worktree
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.projects import discovery, ownership
from khive_supervisor.projects.discovery import directory_of, identify, unseen
from khive_supervisor.projects.identity import ProjectIdentity

HOME = "/nowhere/home"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def own(directory: Path, home: str = HOME) -> str:
    found = identify(str(directory), home)
    assert found is not None
    return found.own


# --- what is one project ----------------------------------------------------------------------


def test_a_repository_is_one_project_from_everywhere_in_it(place: Path) -> None:
    top = repository(place / "alpha", '[remote "origin"]\n\turl = git@example.org:acme/alpha.git\n')
    (top / "a/b").mkdir(parents=True)
    found = identify(str(top / "a/b"), HOME)
    assert found is not None
    assert (found.name, found.own, found.base) == ("alpha", f"git:{top}/.git", found.own)
    assert (found.branch, found.commit) == ("main", COMMIT)
    status = os.stat(top / ".git")
    assert found.candidates == (
        "remote:example.org/acme/alpha", f"node:{status.st_dev}:{status.st_ino}",
    )  # fmt: skip
    assert found.node == str(status.st_ino)
    assert own(top / ".git") == found.own


def test_worktrees_are_their_repository(place: Path) -> None:
    top = repository(place / "alpha")
    beside = worktree(top / ".git", place / "beside")
    nested = worktree(top / ".git", top / "trees/nested", "nested")
    deep = worktree(top / ".git", nested / "deep", "deep")
    assert {own(top), own(beside), own(nested), own(deep)} == {f"git:{top}/.git"}
    found = identify(str(beside), HOME)
    assert found is not None
    assert (found.name, found.branch, found.commit) == ("alpha", "side", "")


def test_a_bare_repository_and_its_worktrees_are_one(place: Path) -> None:
    bare = git_directory(place / "beta.git", "[core]\n\tbare = true\n")
    tree = worktree(bare, place / "beta-main")
    assert own(bare) == own(tree) == f"git:{bare}"
    found = identify(str(tree), HOME)
    assert found is not None
    assert found.name == "beta"


def test_a_bare_repository_inside_of_its_folder_is_that_folder(place: Path) -> None:
    folder = place / "gamma"
    bare = git_directory(folder / ".bare", "[core]\n\tbare = true\n")
    (folder / ".git").write_text("gitdir: ./.bare\n")
    tree = worktree(bare, folder / "main")
    assert own(folder) == own(tree) == f"git:{bare}"
    found = identify(str(folder), HOME)
    assert found is not None
    assert found.name == "gamma"


def test_a_submodule_is_a_project_of_its_own(place: Path) -> None:
    top = repository(place / "alpha")
    sub = submodule(top, "libs/sub")
    assert own(sub) == f"git:{top}/.git/modules/libs/sub"
    assert own(top / "libs") == own(top)
    found = identify(str(sub), HOME)
    assert found is not None
    assert found.name == "sub"


def test_jujutsu_and_plain_folders_are_folders(place: Path) -> None:
    top = repository(place / "alpha")
    (top / "inner/.jj/repo").mkdir(parents=True)
    (top / "inner/src").mkdir()
    assert own(top / "inner/src") == f"folder:{top}/inner"
    workspace = place / "workspace"
    (workspace / ".jj").mkdir(parents=True)
    (workspace / ".jj/repo").write_text(f"{top}/inner/.jj/repo")  # it joins nothing
    assert own(workspace) == f"folder:{workspace}"
    (place / "plain/below").mkdir(parents=True)
    assert own(place / "plain/below") == f"folder:{place}/plain/below"


def test_jujutsu_beside_git_is_git(place: Path) -> None:
    top = repository(place / "alpha")
    (top / ".jj/repo").mkdir(parents=True)
    assert own(top) == f"git:{top}/.git"


def test_home_what_is_above_and_what_all_share_are_none(place: Path) -> None:
    repository(place / "home")  # somebody's dotfiles
    (place / "home/notes").mkdir()
    home = str(place / "home")
    assert identify(home, home) is None
    assert identify(str(place), home) is None
    assert identify("/", home) is None
    assert identify(tempfile.gettempdir(), home) is None
    assert own(place / "home/notes", home) == f"folder:{home}/notes"


def test_a_client_may_say_where_its_project_is(place: Path) -> None:
    assert directory_of("/cwd", str(place)) == str(place)
    for said in (None, "", "relative", str(place / "gone"), "/with\0nul"):
        assert directory_of("/cwd", said) == "/cwd"


def test_what_cannot_be_looked_at_is_a_folder() -> None:
    assert unseen("/mnt/away/x") == ProjectIdentity("x", "folder:/mnt/away/x", "folder:/mnt/away/x")


# --- claims -----------------------------------------------------------------------------------


def _file(fake: Path, victim: Path) -> None:
    (fake / ".git").write_text(f"gitdir: {victim}/.git\n")


def _file_to_worktree(fake: Path, victim: Path) -> None:
    worktree(victim / ".git", victim.parent / "real")
    (fake / ".git").write_text(f"gitdir: {victim}/.git/worktrees/side\n")


def _file_to_submodule(fake: Path, victim: Path) -> None:
    submodule(victim, "sub")
    (fake / ".git").write_text(f"gitdir: {victim}/.git/modules/sub\n")


def _link(fake: Path, victim: Path) -> None:
    (fake / ".git").symlink_to(victim / ".git")


def _common_directory(fake: Path, victim: Path) -> None:
    git_directory(fake / ".git")
    (fake / ".git/commondir").write_text(f"{victim}/.git\n")


def _bare_common_directory(fake: Path, victim: Path) -> None:
    git_directory(fake / "x").rename(fake / "y")
    for part in ("objects", "refs", "HEAD", "config"):
        (fake / "y" / part).rename(fake / part)
    (fake / "commondir").write_text(f"{victim}/.git\n")


def _own_worktrees_entry(fake: Path, victim: Path) -> None:
    git_directory(fake / ".git")
    entry = fake / ".git/worktrees/x"
    entry.mkdir(parents=True)
    (entry / "HEAD").write_text("ref: refs/heads/main\n")
    (entry / "commondir").write_text(f"{victim}/.git\n")
    (entry / "gitdir").write_text(f"{fake}/tree/.git\n")
    (fake / "tree").mkdir()
    (fake / "tree/.git").write_text(f"gitdir: {entry}\n")


def _linked_common(fake: Path, victim: Path) -> None:
    (fake / "common").symlink_to(victim / ".git")
    (fake / ".git").write_text("gitdir: ./common\n")


def _worktree_configuration(fake: Path, victim: Path) -> None:
    git_directory(fake / ".git", f"[core]\n\tworktree = {victim}\n")


CLAIMS = (
    _file, _file_to_worktree, _file_to_submodule, _link, _common_directory, _bare_common_directory,
    _own_worktrees_entry, _linked_common, _worktree_configuration,
)  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda one: one.__name__)
def test_no_claim_of_a_directory_joins_another(
    place: Path, claim: Callable[[Path, Path], None]
) -> None:
    victim, fake = repository(place / "victim"), place / "fake"
    fake.mkdir()
    claim(fake, victim)
    theirs = {own(victim), f"git:{victim}/.git/modules/sub"}
    for directory in (fake, *(path for path in fake.iterdir() if path.is_dir())):
        if directory.is_symlink():
            continue  # whoever stands in there stands in the victim
        assert own(directory) not in theirs


def _fifo(top: Path) -> None:
    os.mkfifo(top / ".git")


def _loop(top: Path) -> None:
    (top / ".git").symlink_to(".git")


def _huge(top: Path) -> None:
    with open(top / ".git", "wb") as file:
        file.truncate(1 << 30)


def _empty(top: Path) -> None:
    (top / ".git").mkdir()


def _no_head(top: Path) -> None:
    git_directory(top / ".git")
    (top / ".git/HEAD").unlink()


def _gone(top: Path) -> None:
    (top / ".git").write_text("gitdir: /nowhere/at/all\n")


def _garbage(top: Path) -> None:
    (top / ".git").write_bytes(b"\0\xff\xfe" * 100)


@pytest.mark.parametrize("broken", [_fifo, _loop, _huge, _empty, _no_head, _gone, _garbage])
def test_what_is_broken_is_a_folder(place: Path, broken: Callable[[Path], None]) -> None:
    top = place / "broken"
    (top / "below").mkdir(parents=True)
    broken(top)
    assert own(top / "below") == own(top) == f"folder:{top}"


@pytest.mark.parametrize("name", ["HEAD", "config", "packed-refs", "refs/heads/main"])
def test_files_that_hang_or_are_huge_say_nothing(place: Path, name: str) -> None:
    top = repository(place / "alpha")
    (top / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(top / ".git" / name)
    found = identify(str(top), HOME)
    assert found is not None
    (top / ".git" / name).unlink()
    with open(top / ".git" / name, "wb") as file:
        file.truncate(1 << 30)
    again = identify(str(top), HOME)
    assert again is not None
    assert again.own.removeprefix("git:").startswith(f"{top}/.git")


def test_a_repository_of_another_user_is_a_folder_unless_it_is_declared_safe(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, home = repository(place / "alpha"), place / "home"
    home.mkdir()
    config = home / ".gitconfig"

    def foreign(paths: Iterable[str]) -> bool:
        return list(paths) == [str(config)]

    monkeypatch.setattr(discovery, "owned", lambda _paths: False)
    monkeypatch.setattr(ownership, "owned", foreign)
    assert own(top, str(home)) == f"folder:{top}"
    for said, safe in (
        ("*", True), (str(top), True), (f"{place}/*", True), ("/elsewhere", False),
        ("*\n\tdirectory =", False),
    ):  # fmt: skip
        config.write_text(f"[safe]\n\tdirectory = {said}\n")
        assert own(top, str(home)) == (f"git:{top}/.git" if safe else f"folder:{top}")


def test_two_names_that_are_no_text_are_two_projects(place: Path) -> None:
    marks = set()
    for name in (b"x\xff", b"x\xfe"):
        directory = os.fsencode(place) + b"/" + name
        try:
            os.mkdir(directory)
        except OSError:  # a filesystem that takes text alone
            return
        found = identify(os.fsdecode(directory), HOME)
        assert found is not None
        assert found.own.isascii()
        marks.add(found.own)
    assert len(marks) == 2


# --- whatever a directory says ------------------------------------------------------------------

#: Files of a hostile directory, by their names; `{victim}` is where the repository is.
NAMES = st.sampled_from(
    [".git", ".git/HEAD", ".git/commondir", ".git/gitdir", ".git/config", "HEAD", "commondir",
     "objects/x", "refs/x", ".git/objects/x", ".git/refs/x", ".jj/repo", "khive.toml"]
)  # fmt: skip
CONTENTS = st.sampled_from(
    ["gitdir: {victim}/.git\n", "gitdir: {victim}/.git/worktrees/side\n", "gitdir: .\n",
     "gitdir: {victim}\n", "{victim}/.git\n", "{victim}/.git/worktrees/side/gitdir\n", "..\n",
     "ref: refs/heads/main\n", "[core]\n\tworktree = {victim}\n", "[core]\n\tbare = true\n",
     '[project]\nname = "victim"\n', "{victim}/.jj/repo", ""]
)  # fmt: skip


@settings(max_examples=200)
@given(files=st.dictionaries(NAMES, CONTENTS, max_size=6))
def test_a_directory_that_nothing_points_back_to_is_by_itself(files: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        place = Path(made).resolve()
        victim, fake = repository(place / "victim"), place / "fake"
        worktree(victim / ".git", place / "tree")
        fake.mkdir()
        for name, content in files.items():
            path = fake / name
            if any(above.is_file() for above in path.parents) or path.is_dir():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.replace("{victim}", str(victim)))
        found = identify(str(fake), HOME)
        assert found is not None
        path = found.own.partition(":")[2]
        assert path == str(fake) or path.startswith(f"{fake}/")
