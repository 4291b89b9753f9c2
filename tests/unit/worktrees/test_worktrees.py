"""Directories of tasks, with the real git: nothing of the caller is touched, no work is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.errors import GitFailed, InUse, NoPlace
from khive_supervisor.vcs.git import Git
from khive_supervisor.worktrees import leftover, metadata, model, place
from khive_supervisor.worktrees.place import Workspace
from khive_supervisor.worktrees.systems import WorktreeSystems


class Bench:
    """A repository of a caller, and a place for tasks."""

    def __init__(self, top: Path) -> None:
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(top),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.repository = top / "repository"
        self.work = str(top / "state" / "work")
        self.marker = top / "hook-ran"
        self.git = WorktreeSystems(self.environ)
        self._held: list[Workspace] = []
        config = "[user]\nname = n\nemail = e@x\n[init]\ndefaultBranch = main\n"
        # What people set, and what must not hide or lose anything here.
        config += '[status]\nshowUntrackedFiles = no\n[protocol "file"]\nallow = always\n'
        (top / ".gitconfig").write_text(config)
        self.repository.mkdir()
        self.run("init", "-q")

    def run(self, *words: str, cwd: Path | str | None = None) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=cwd or self.repository,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, name: str = "file", text: str = "one\n", cwd: Path | None = None) -> str:
        path = (cwd or self.repository) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.run("add", name, cwd=cwd)
        self.run("commit", "-qm", name, cwd=cwd)
        return self.run("rev-parse", "HEAD", cwd=cwd)

    def enter(self, task: int = 1, kind: str = "worktree", cwd: Path | None = None) -> Workspace:
        where = str(cwd or self.repository)
        made = place.enter(
            self.git, self.work, task, "dev", kind, where, pause=lambda _seconds: None
        )
        self._held.append(made)
        return made

    def branches(self) -> list[str]:
        return self.run("for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n")

    def whole_state(self) -> tuple[str, str, bytes]:
        """What must not change: the checkout's status, its HEAD, and its index."""
        index = (self.repository / ".git" / "index").read_bytes()
        head = (self.repository / ".git" / "HEAD").read_text()
        return self.run("status", "--porcelain", "-uall"), head, index

    def close(self) -> None:
        for one in self._held:
            one.leave()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_worktree_is_beside_the_callers_checkout_and_goes_when_clean(bench: Bench) -> None:
    bench.commit()
    (bench.repository / "file").write_text("not committed\n")
    (bench.repository / "staged").write_text("staged\n")
    bench.run("add", "staged")
    hook = bench.repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {bench.marker}\n")
    hook.chmod(0o755)
    before = bench.whole_state()
    made = bench.enter()
    assert (Path(made.directory) / "file").read_text() == "one\n"
    assert bench.run("branch", "--show-current", cwd=made.directory) == "khive/dev-t1"
    assert made.tidy(bench.git) is None
    assert not os.path.exists(made.home)
    assert bench.branches() == ["main"]
    assert "t1" not in bench.run("worktree", "list")
    assert bench.whole_state() == before
    assert not bench.marker.exists()


def test_what_was_done_is_kept_named_and_found_again(bench: Bench) -> None:
    base = bench.commit()
    made = bench.enter()
    directory = Path(made.directory)
    bench.commit("new", "1\n2\n", cwd=directory)
    (directory / "file").write_text("two\n")
    (directory / "untracked").write_text("x")
    kept = made.tidy(bench.git)
    assert kept == {
        "kind": "worktree",
        "path": str(directory),
        "vcs": "git",
        "repository": str(bench.repository / ".git"),
        "branch": "khive/dev-t1",
        "changed": 2,
        "commits": 1,
        "diff": "2 files changed, 3 insertions(+), 1 deletion(-)",
        "touched": ["file", "new", "untracked"],
        "commit": bench.run("rev-parse", "HEAD", cwd=directory),
    }
    made.leave()
    assert bench.run("rev-parse", "HEAD") == base
    # The caller goes on meanwhile; the retry goes on in what there is.
    bench.commit("later")
    again = bench.enter()
    assert again.directory == str(directory)
    assert (directory / "untracked").read_text() == "x"
    assert not (directory / "later").exists()


@pytest.mark.parametrize("what", ["untracked", "commit", "detached", "rebase", "reset", "staged"])
def test_nothing_that_somebody_did_is_removed(bench: Bench, what: str) -> None:
    bench.commit()
    bench.commit("second")
    made = bench.enter()
    directory = Path(made.directory)
    if what == "untracked":
        (directory / "deep").mkdir()
        (directory / "deep" / "x").write_text("")
    elif what == "commit":
        bench.commit("new", cwd=directory)
    elif what == "detached":
        bench.run("checkout", "-q", "--detach", cwd=directory)
        bench.commit("new", cwd=directory)
        bench.run("branch", "-f", "other", cwd=directory)
    elif what == "rebase":
        own = bench.run("rev-parse", "--absolute-git-dir", cwd=directory)
        (Path(own) / "rebase-merge").mkdir()
    elif what == "reset":
        bench.run("reset", "-q", "--hard", "HEAD~1", cwd=directory)
    else:
        (directory / "file").write_text("staged\n")
        bench.run("add", "file", cwd=directory)
    assert made.tidy(bench.git) is not None
    made.leave()
    assert [one.clean for one in leftover.found(bench.git, bench.work)] == [False]
    assert leftover.remove_clean(bench.git, bench.work, 1) is not None
    assert directory.is_dir()
    assert "khive/dev-t1" in bench.branches()


def test_commits_on_the_branch_stay_when_something_else_is_checked_out(bench: Bench) -> None:
    base = bench.commit()
    made = bench.enter()
    bench.commit("new", cwd=Path(made.directory))
    bench.run("checkout", "-q", "--detach", base, cwd=made.directory)
    kept = made.tidy(bench.git)
    assert kept is not None
    assert "khive/dev-t1 has moved" in kept["note"]


def test_the_caller_in_a_subdirectory_works_in_the_same_one(bench: Bench) -> None:
    bench.commit("sub/dir/file")
    (bench.repository / "sub" / "fresh").mkdir()
    made = bench.enter(cwd=bench.repository / "sub" / "dir")
    assert made.directory == f"{made.home}/tree/sub/dir"
    uncommitted = bench.enter(2, cwd=bench.repository / "sub" / "fresh")
    assert os.path.isdir(uncommitted.directory)
    assert uncommitted.tidy(bench.git) is None


def test_a_detached_head_a_bare_repository_and_a_linked_worktree_serve(bench: Bench) -> None:
    base = bench.commit()
    bench.run("checkout", "-q", "--detach")
    assert bench.run("rev-parse", "HEAD", cwd=bench.enter(1).directory) == base
    bare = bench.repository.parent / "bare.git"
    bench.run("clone", "-q", "--bare", str(bench.repository), str(bare))
    made = bench.enter(2, cwd=bare)
    assert bench.run("rev-parse", "HEAD", cwd=made.directory) == base
    assert made.tidy(bench.git) is None
    linked = bench.repository.parent / "linked"
    bench.run("worktree", "add", "-q", str(linked))
    newer = bench.commit("newer", cwd=linked)
    assert bench.run("rev-parse", "HEAD", cwd=bench.enter(3, cwd=linked).directory) == newer


def test_where_there_is_nothing_to_work_from_is_said(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(NoPlace, match="has no commit yet"):
        bench.enter()
    (tmp_path / "plain").mkdir()
    with pytest.raises(NoPlace, match="is in no git repository"):
        bench.enter(cwd=tmp_path / "plain")
    with pytest.raises(NoPlace, match="does not exist any more"):
        bench.enter(cwd=tmp_path / "missing")
    with pytest.raises(NoPlace, match="not known from which directory"):
        place.callers("")
    assert list(leftover.found(bench.git, bench.work)) == []


def test_submodules_are_kept_once_they_are_there(bench: Bench, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    bench.run("init", "-q", cwd=inner)
    bench.commit("x", cwd=inner)
    bench.commit()
    bench.run("submodule", "--quiet", "add", str(inner), "inner")
    bench.run("commit", "-qm", "inner")
    assert bench.enter(1).tidy(bench.git) is None
    used = bench.enter(2)
    bench.run("submodule", "--quiet", "update", "--init", cwd=used.directory)
    kept = used.tidy(bench.git)
    assert kept is not None
    assert kept["note"] == "It has submodules, whose commits are nowhere else."


def test_a_branch_that_is_taken_is_left_alone(bench: Bench) -> None:
    base = bench.commit()
    bench.run("branch", "khive/dev-t1")
    made = bench.enter()
    assert bench.run("branch", "--show-current", cwd=made.directory) == "khive/dev-t1-2"
    assert made.tidy(bench.git) is None
    assert bench.run("rev-parse", "khive/dev-t1") == base


def test_the_environment_of_another_git_does_not_leak(bench: Bench, tmp_path: Path) -> None:
    bench.commit()
    leaking = {**bench.environ, "GIT_DIR": str(tmp_path), "GIT_INDEX_FILE": str(tmp_path / "i")}
    bench.git = WorktreeSystems(leaking)
    assert bench.enter().tidy(bench.git) is None


def test_what_its_maker_left_half_done_is_made_anew(bench: Bench) -> None:
    bench.commit()
    made = bench.enter()
    metadata.write(
        made.home, metadata.WorktreeMetadata(**{**_fields(made.metadata), "ready": False})
    )
    (Path(made.directory) / "half").write_text("")
    made.leave()
    (found,) = leftover.found(bench.git, bench.work)
    assert found.clean
    again = bench.enter()
    assert not (Path(again.directory) / "half").exists()
    assert again.metadata.branch == "khive/dev-t1"
    assert again.tidy(bench.git) is None


def _fields(of: metadata.WorktreeMetadata) -> dict[str, object]:
    return {name: getattr(of, name) for name in metadata.WorktreeMetadata.__slots__}


def test_a_worktree_that_somebody_removed_comes_back_with_its_commits(bench: Bench) -> None:
    bench.commit()
    made = bench.enter()
    commit = bench.commit("new", cwd=Path(made.directory))
    made.leave()
    shutil.rmtree(made.directory)
    assert bench.run("rev-parse", "HEAD", cwd=bench.enter().directory) == commit


def test_a_directory_that_is_gone_is_cleared_unless_its_branch_has_commits(bench: Bench) -> None:
    bench.commit()
    empty, used = bench.enter(1), bench.enter(2)
    bench.commit("new", cwd=Path(used.directory))
    for made in (empty, used):
        made.leave()
        shutil.rmtree(made.directory)
    assert [one.clean for one in leftover.found(bench.git, bench.work)] == [True, False]
    assert leftover.remove_clean(bench.git, bench.work, 1) is None
    assert leftover.remove_clean(bench.git, bench.work, 2) is not None
    assert bench.branches() == ["khive/dev-t2", "main"]


def test_a_directory_is_one_workers_at_a_time(bench: Bench) -> None:
    bench.commit()
    made = bench.enter()
    with pytest.raises(InUse):
        bench.enter()
    (found,) = leftover.found(bench.git, bench.work)
    assert found.busy
    kept = leftover.remove_clean(bench.git, bench.work, 1)
    assert kept is not None
    assert kept["note"] == "A worker is at work in it."
    made.leave()
    assert leftover.remove_clean(bench.git, bench.work, 1) is None
    assert list(leftover.found(bench.git, bench.work)) == []


def test_a_fresh_directory_goes_when_it_is_empty(bench: Bench) -> None:
    made = bench.enter(kind="fresh", cwd=Path("/nowhere"))
    (Path(made.directory) / "empty").mkdir()
    assert made.tidy(bench.git) is None
    assert not os.path.exists(made.home)
    made = bench.enter(kind="fresh")
    (Path(made.directory) / "link").symlink_to("/nowhere")
    assert made.tidy(bench.git) == {"kind": "fresh", "path": made.directory, "files": 1}
    made.leave()
    with pytest.raises(NoPlace, match="which was a fresh directory"):
        bench.enter(kind="worktree")


def test_what_nobody_can_tell_about_stays(bench: Bench, tmp_path: Path) -> None:
    bench.commit()
    made = bench.enter()
    made.leave()
    shutil.rmtree(bench.repository)
    (found,) = leftover.found(bench.git, bench.work)
    assert not found.clean
    os.unlink(f"{made.home}/about.json")
    (found,) = leftover.found(bench.git, bench.work)
    assert found.metadata is None
    assert leftover.remove_clean(bench.git, bench.work, 1) is not None
    assert os.path.isdir(made.directory)


def test_git_is_stopped_after_its_time_and_on_demand(bench: Bench, tmp_path: Path) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 600\n")
    (slow / "git").chmod(0o755)
    environ = {**bench.environ, "PATH": f"{slow}:{bench.environ['PATH']}"}
    git = Git(environ, timeout=0.05)
    with pytest.raises(GitFailed, match="took longer than"):
        git.run("status", cwd=str(tmp_path))
    git.stop()
    with pytest.raises(GitFailed, match="stopped"):
        git.run("status", cwd=str(tmp_path))
    assert model.Look().clean
