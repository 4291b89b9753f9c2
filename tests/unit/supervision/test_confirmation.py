"""Which projects become one in the background: with real repositories, and a store."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import run

from khive_supervisor.projects.discovery import identify
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.projects.roots import git_for_roots, roots_of
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.maintenance.confirmation import Confirmation

ADDRESS = "https://example.org/acme/alpha"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        yield opened


def git(directory: Path, *words: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(
        ["git", "-C", directory, *who, *words], env=environment, check=True, capture_output=True
    )


def repository(top: Path, first: str = "first", remote: str = ADDRESS) -> Path:
    top.mkdir(parents=True)
    git(top, "init", "-q")
    git(top, "commit", "-q", "--allow-empty", "-m", first)
    if remote:
        git(top, "remote", "add", "origin", remote)
    return top


def clone(top: Path, target: Path, *options: str) -> Path:
    git(top, "clone", "-q", *options, f"file://{top}", str(target))
    git(target, "remote", "set-url", "origin", ADDRESS)
    return target


def of(directory: Path) -> ProjectIdentity:
    found = identify(str(directory), "/nowhere/home")
    assert found is not None
    return found


def confirm(store: Store, *arrived: ProjectIdentity) -> list[str]:
    """Look at projects as the supervisor does; the names of those that are still by themselves."""

    async def with_store(work: Callable[[Store], Any]) -> Any:
        return work(store)

    async def look() -> None:
        confirmation = Confirmation(with_store)
        for identity in arrived:
            confirmation.arrived(identity)
        await confirmation.look()

    run(look())
    return [one.name for one in store.projects.all() if one.merged_into is None]


def same(store: Store, one: ProjectIdentity, other: ProjectIdentity) -> bool:
    families = store.projects.find(one), store.projects.find(other)
    return None not in families and families[0] == families[1]


def test_a_clone_is_joined_before_anything_is_stored_in_it(store: Store, tmp_path: Path) -> None:
    alpha = repository(tmp_path / "alpha")
    cloned = clone(alpha, tmp_path / "elsewhere")
    store.projects.ensure(of(alpha))
    assert confirm(store, of(cloned)) == ["alpha"]
    assert same(store, of(alpha), of(cloned))


def test_a_clone_is_merged_with_what_was_stored_in_it(store: Store, tmp_path: Path) -> None:
    alpha = repository(tmp_path / "alpha")
    cloned = clone(alpha, tmp_path / "elsewhere")
    for one in (alpha, cloned):
        store.projects.ensure(of(one))
    assert confirm(store, of(alpha), of(cloned)) == ["alpha"]
    assert same(store, of(alpha), of(cloned))


@pytest.mark.parametrize("remote", [ADDRESS, "/srv/git/alpha.git"])
def test_a_remote_that_came_later_joins_clones(store: Store, tmp_path: Path, remote: str) -> None:
    alpha = repository(tmp_path / "alpha", remote="")
    store.projects.ensure(of(alpha))
    cloned = clone(alpha, tmp_path / "elsewhere")
    git(cloned, "remote", "set-url", "origin", remote)
    git(alpha, "remote", "add", "origin", remote)
    assert confirm(store, of(alpha), of(cloned)) == ["alpha"]
    assert not same(store, of(alpha), of(cloned))  # nothing has gone to it, or come from it yet
    git(alpha, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert confirm(store, of(alpha), of(cloned)) == ["alpha"]
    assert same(store, of(alpha), of(cloned))


def test_a_repository_that_was_moved_stays_the_project(store: Store, tmp_path: Path) -> None:
    alpha = repository(tmp_path / "alpha", remote="")
    store.projects.ensure(of(alpha))
    confirm(store)
    before = of(alpha)
    moved = Path(shutil.move(alpha, tmp_path / "moved"))
    follower = repository(alpha, "another")  # in the place where it was
    assert store.projects.find(of(follower)) is None
    store.projects.ensure(of(follower))
    confirm(store, of(moved), of(follower))
    family = store.projects.find(of(moved))
    assert family is not None
    assert family.name == "alpha"
    assert not same(store, of(moved), of(follower))
    assert store.projects.find(before) is None


@pytest.mark.parametrize("what", ["address", "no history", "shallow", "grafts", "replaced", "gone"])
def test_what_only_looks_the_same_stays_apart(store: Store, tmp_path: Path, what: str) -> None:
    alpha = repository(tmp_path / "alpha")
    git(alpha, "commit", "-q", "--allow-empty", "-m", "second")
    other = tmp_path / "other"
    if what == "shallow":
        clone(alpha, other, "--depth=1")
    elif what == "address":
        clone(alpha, other)
        git(other, "update-ref", "-d", "refs/remotes/origin/HEAD")
        shutil.rmtree(other / ".git/refs/remotes")
        (other / ".git/packed-refs").unlink(missing_ok=True)
    elif what == "no history":
        other.mkdir()
        git(other, "init", "-q")
        git(other, "remote", "add", "origin", ADDRESS)
    else:
        clone(repository(tmp_path / "third", "unlike"), other)
    if what == "grafts":
        (other / ".git/info").mkdir(exist_ok=True)
        (other / ".git/info/grafts").write_text("")
    elif what == "replaced":
        git(other, "fetch", "-q", f"file://{alpha}", "HEAD")
        git(other, "replace", "HEAD", "FETCH_HEAD")
    store.projects.ensure(of(alpha))
    store.projects.ensure(of(other))
    arrived = of(other)
    if what == "gone":
        shutil.rmtree(other)
    confirm(store, arrived)
    assert not same(store, of(alpha), arrived)


def test_roots_are_those_of_a_whole_history(tmp_path: Path) -> None:
    git_program = git_for_roots(os.environ)
    alpha = repository(tmp_path / "alpha")
    git(alpha, "commit", "-q", "--allow-empty", "-m", "second")
    (root,) = roots_of(git_program, f"{alpha}/.git") or ()
    assert len(root) == 40
    assert roots_of(git_program, str(alpha)) is None  # no git directory
    (tmp_path / "link").symlink_to(alpha / ".git")
    assert roots_of(git_program, str(tmp_path / "link")) is None
    shallow = clone(alpha, tmp_path / "shallow", "--depth=1")
    assert roots_of(git_program, f"{shallow}/.git") is None
