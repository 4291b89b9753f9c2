"""Workspaces of tasks, with the real jj: nothing of the caller is touched, no work is lost."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from jj_support import JjBench, real_jj

from khive_supervisor.access.places import places_of
from khive_supervisor.errors import JjFailed, NoPlace
from khive_supervisor.projects import discovery
from khive_supervisor.vcs import jj_shadow
from khive_supervisor.worktrees import leftover, metadata, place, roots
from khive_supervisor.worktrees.place import Workspace
from khive_supervisor.worktrees.systems import WorktreeSystems


class Bench(JjBench):
    def __init__(self, top: Path, *, colocated: bool) -> None:
        super().__init__(top, real_jj(), colocated=colocated)
        self.systems = WorktreeSystems(self.environ)
        self._held: list[Workspace] = []
        self.run("commit", "-m", "first")

    def enter(self, task: int = 1, cwd: Path | None = None, vcs: str = "auto") -> Workspace:
        where = str(cwd or self.repository)
        made = place.enter(
            self.systems, self.work, task, "dev", "worktree", where, vcs, lambda _seconds: None
        )
        self._held.append(made)
        return made

    def close(self) -> None:
        for one in self._held:
            one.leave()


@pytest.fixture(params=[True, False], ids=["colocated", "alone"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Bench(tmp_path, colocated=request.param)
    yield made
    made.close()


@pytest.fixture
def colocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Bench(tmp_path, colocated=True)
    yield made
    made.close()


def test_a_workspace_is_beside_the_callers_and_goes_when_nothing_was_done(bench: Bench) -> None:
    (bench.repository / "file").write_text("not committed\n")
    (bench.repository / "new").write_text("new\n")
    before = bench.commits("all()")
    made = bench.enter(cwd=bench.repository / "sub")
    assert made.metadata.vcs == "jj"
    assert made.directory == f"{made.home}/tree/sub"
    assert (Path(made.home) / "tree" / "file").read_text() == "one\n"
    # It is as jj would have made it: the agent's own commands work there.
    assert bench.run("workspace", "root", cwd=made.directory) == f"{made.home}/tree"
    assert bench.commits('"khive-dev-t1"@-') == bench.commits("default@-")
    assert bench.commits('"khive-dev-t1"@', 'author.name() ++ "/" ++ author.email()') == [
        "Ada Lovelace/ada@example.com"
    ]
    assert made.tidy(bench.systems) is None
    assert not os.path.exists(made.home)
    assert bench.commits("all()") == before
    assert bench.run("workspace", "list", "-T", "name") == "default"
    assert (bench.repository / "file").read_text() == "not committed\n"
    assert bench.run("diff", "--name-only").split() == ["file", "new"]


def test_what_was_done_is_kept_named_and_found_again(bench: Bench) -> None:
    made = bench.enter()
    directory = Path(made.directory)
    (directory / "new").write_text("1\n2\n")
    bench.run("commit", "-m", "mine", cwd=directory)
    (directory / "file").write_text("two\n")
    (directory / "sub" / "two").unlink()
    (directory / "large").write_bytes(os.urandom(2 << 20))  # what jj refuses to take up
    kept = made.tidy(bench.systems)
    assert kept == {
        "kind": "worktree",
        "path": str(directory),
        "vcs": "jj",
        "repository": str(bench.repository / ".jj" / "repo"),
        "branch": "khive/dev-t1",
        "changed": 3,
        "commits": 1,
        "diff": "3 files changed, 3 insertions(+), 2 deletions(-)",
        "touched": ["file", "new", "sub/two", "large"],
        "commit": bench.commits('"khive-dev-t1"@')[0],
    }
    assert bench.commits("khive/dev-t1") == [str(kept["commit"])]
    made.leave()
    (found,) = leftover.found(bench.systems, bench.work)
    assert found.inside == kept
    assert not found.clean
    assert leftover.remove_clean(bench.systems, bench.work, 1) == kept
    again = bench.enter()
    assert again.directory == made.directory
    assert (directory / "large").exists()


def test_a_bookmark_is_a_branch_where_git_works_beside(colocated: Bench) -> None:
    made = colocated.enter()
    (Path(made.directory) / "new").write_text("new\n")
    assert made.shown(colocated.systems) is not None
    assert (colocated.repository / ".git/refs/heads/khive/dev-t1").exists()
    (Path(made.directory) / "new").unlink()
    assert made.tidy(colocated.systems) is None
    assert colocated.run("bookmark", "list") == ""
    assert not (colocated.repository / ".git/refs/heads/khive/dev-t1").exists()


def test_a_bookmark_follows_what_is_done_and_stays_where_somebody_put_it(bench: Bench) -> None:
    made = bench.enter()
    directory = Path(made.directory)
    (directory / "new").write_text("new\n")
    assert made.shown(bench.systems) is not None
    bench.run("commit", "-m", "mine", cwd=directory)
    (directory / "newer").write_text("newer\n")
    shown = made.shown(bench.systems)
    assert shown is not None
    assert bench.commits("khive/dev-t1") == [str(shown["commit"])]
    bench.run("bookmark", "set", "khive/dev-t1", "-r", "default@-", "--allow-backwards")
    bench.run("new", "default@-", "-m", "elsewhere")
    bench.run("bookmark", "set", "khive/dev-t1", "-r", "@")
    shown = made.tidy(bench.systems)
    assert shown is not None
    assert bench.commits("khive/dev-t1", "description.first_line()") == ["elsewhere"]


def test_names_that_are_taken_get_a_number(bench: Bench) -> None:
    bench.run("bookmark", "create", "khive/dev-t1", "-r", "@")
    bench.run("workspace", "add", "--name", "khive-dev-t1-2", str(bench.repository.parent / "w"))
    made = bench.enter()
    assert (made.metadata.branch, made.metadata.workspace) == ("khive/dev-t1-3", "khive-dev-t1-3")


def test_what_it_stands_on_may_be_rewritten_meanwhile(bench: Bench) -> None:
    made = bench.enter()
    bench.run("describe", "-r", "default@-", "-m", "said better")
    assert made.shown(bench.systems) is None
    (Path(made.directory) / "new").write_text("new\n")
    (bench.repository / "file").write_text("squashed into it\n")
    bench.run("squash")
    shown = made.shown(bench.systems)
    assert shown is not None
    assert shown["touched"] == ["new"]
    assert (Path(made.directory) / "file").read_text() == "squashed into it\n"
    (Path(made.directory) / "new").unlink()
    assert made.tidy(bench.systems) is None


def test_work_that_was_begun_elsewhere_is_seen_too(bench: Bench) -> None:
    made = bench.enter()
    bench.run("new", "root()", cwd=made.directory)
    (Path(made.directory) / "unrelated").write_text("x\n")
    shown = made.tidy(bench.systems)
    assert shown is not None
    assert (shown["changed"], shown["commit"]) == (1, bench.commits('"khive-dev-t1"@')[0])


def test_a_directory_that_somebody_removed_comes_back_with_what_was_done(bench: Bench) -> None:
    made = bench.enter()
    (Path(made.directory) / "new").write_text("new\n")
    assert made.shown(bench.systems) is not None
    made.leave()
    shutil.rmtree(made.directory)
    (found,) = leftover.found(bench.systems, bench.work)
    assert found.inside is not None
    assert "directory is gone" in str(found.inside["note"])
    again = bench.enter()
    assert (Path(again.directory) / "new").read_text() == "new\n"
    shown = again.tidy(bench.systems)
    assert shown is not None
    assert (shown["touched"], shown["commits"]) == (["new"], 1)


def test_one_that_was_removed_with_nothing_in_it_is_gone_for_good(bench: Bench) -> None:
    before = bench.commits("all()")
    made = bench.enter()
    made.leave()
    shutil.rmtree(made.directory)
    assert leftover.remove_clean(bench.systems, bench.work, 1) is None
    assert bench.commits("all()") == before


def test_what_its_maker_left_half_done_is_made_anew(bench: Bench) -> None:
    made = bench.enter()
    metadata.write(
        made.home,
        metadata.WorktreeMetadata(
            1, "dev", "worktree", repository=made.metadata.repository,
            branch="khive/dev-t1", workspace="khive-dev-t1", vcs="jj",
        ),
    )  # fmt: skip
    made.leave()
    again = bench.enter()
    assert again.metadata.workspace == "khive-dev-t1"
    assert again.tidy(bench.systems) is None


def test_a_look_that_was_killed_is_mended_by_the_next(bench: Bench) -> None:
    made = bench.enter()
    tree = f"{made.home}/tree"
    os.rename(f"{tree}/.jj", f"{made.home}/{jj_shadow.ASIDE}")
    os.mkdir(f"{tree}/.jj")
    Path(tree, ".jj", "repo").write_text("/gone")
    Path(tree, "new").write_text("new\n")
    assert made.shown(bench.systems) is not None
    assert bench.run("diff", "--name-only", cwd=tree) == "new"


def test_a_workspace_that_was_forgotten_or_changed_hands_stays(bench: Bench) -> None:
    made = bench.enter()
    bench.run("workspace", "forget", "khive-dev-t1")
    shown = made.tidy(bench.systems)
    assert shown is not None
    assert "forgotten" in str(shown["note"])
    other = bench.enter(2)
    checkout = Path(other.directory, ".jj", "working_copy", "checkout")
    checkout.write_bytes(Path(bench.repository, ".jj", "working_copy", "checkout").read_bytes())
    shown = other.tidy(bench.systems)
    assert shown is not None
    assert "no workspace of its repository" in str(shown["note"])


def test_many_are_made_at_once(bench: Bench) -> None:
    made: list[Workspace] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(bench.enter(n)), daemon=True)
        for n in range(1, 5)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(one.metadata.workspace for one in made) == [
        f"khive-dev-t{n}" for n in range(1, 5)
    ]
    assert [one.tidy(bench.systems) for one in made] == [None] * 4


def test_a_task_of_a_task_works_from_its_workspace(bench: Bench) -> None:
    """A workspace that is not the first is a caller's place as well, if its repository knows it."""
    made = bench.enter()
    (Path(made.directory) / "new").write_text("new\n")
    bench.run("commit", "-m", "mine", cwd=made.directory)
    again = bench.enter(2, cwd=Path(made.directory))
    assert (Path(again.directory) / "new").exists()
    here, there = os.path.realpath(made.directory), os.path.realpath(bench.repository)
    assert roots.resolve(there, here, ()) == there
    assert roots.resolve(here, there, ()) == here
    assert there in places_of([here])
    home = "/nowhere"
    found, first = discovery.identify(here, home), discovery.identify(there, home)
    assert found is not None
    assert first is not None
    assert (found.name, found.own) == (first.name, first.own)


def test_a_directory_that_only_says_it_is_a_workspace_is_none(bench: Bench, tmp_path: Path) -> None:
    liar = tmp_path / "liar"
    (liar / ".jj" / "working_copy").mkdir(parents=True)
    (liar / ".jj" / "repo").write_text(str(bench.repository / ".jj" / "repo"))
    for said in (bytes(64), os.urandom(64)):
        note = b"\x12\x40" + said + b"\x1a\x07default"
        (liar / ".jj" / "working_copy" / "checkout").write_bytes(note)
        with pytest.raises(NoPlace, match="does not know this workspace"):
            bench.enter(cwd=liar)
        assert places_of([str(liar)]) == (str(liar),)
        identity = discovery.identify(str(liar), "/nowhere")
        assert identity is not None
        assert identity.own == f"folder:{liar}"


def test_what_there_is_nothing_to_work_from_is_said(tmp_path: Path) -> None:
    bench = JjBench(tmp_path, real_jj(), colocated=False)
    systems = WorktreeSystems(bench.environ)
    with pytest.raises(NoPlace, match="no commit below") as caught:
        place.enter(systems, bench.work, 1, "dev", "worktree", str(bench.repository))
    assert "jj commit" in caught.value.hint


def test_the_role_may_choose_git_beside_jj(colocated: Bench, tmp_path: Path) -> None:
    made = colocated.enter(vcs="git")
    assert made.metadata.vcs == "git"
    assert os.path.isfile(f"{made.directory}/.git")
    assert made.tidy(colocated.systems) is None
    (tmp_path / "bin" / "jj").unlink()
    without = WorktreeSystems({**colocated.environ, "PATH": "/usr/bin:/bin"})
    assert without.chosen(str(colocated.repository), "auto").name == "git"
    colocated.systems = without
    with pytest.raises(JjFailed, match="no program jj"):
        colocated.enter(2, vcs="jj")
