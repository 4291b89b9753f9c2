"""What jj 0.35 said, replayed for machines without one; `data/jj/story.json` is its recording.

KHIVE_RECORD_JJ=1 and a real jj write it anew. The replay fails where anything else is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jj_support import JjBench, real_jj

from khive_supervisor.errors import JjFailed
from khive_supervisor.vcs import jj_repository
from khive_supervisor.vcs.jj import Jj
from khive_supervisor.worktrees import place
from khive_supervisor.worktrees.systems import WorktreeSystems

STORY = Path(__file__).parents[2] / "data" / "jj" / "story.json"
RECORDS = bool(os.environ.get("KHIVE_RECORD_JJ"))


class RecordedJj(Jj):
    """A jj that says what a real one has said, or that writes down what it says."""

    def __init__(self, environ: Mapping[str, str], top: Path) -> None:
        super().__init__(environ)
        self.top = str(top)
        self.said: list[dict[str, Any]] = [] if RECORDS else json.loads(STORY.read_text())

    @property
    def author(self) -> Mapping[str, str]:
        return {"JJ_USER": "Ada Lovelace", "JJ_EMAIL": "ada@example.com"}

    def run(self, *words: str, cwd: str, **rest: Any) -> str:
        asked = [word.replace(self.top, "TOP") for word in words if "--config-file" not in word]
        if not RECORDS:
            expected = self.said.pop(0)
            assert asked == expected["asked"]
            self._do(words, cwd)
            if "failed" in expected:
                raise JjFailed(expected["failed"])
            return str(expected["said"])
        try:
            said = super().run(*words, cwd=cwd, **rest)
        except JjFailed as error:
            self.said.append({"asked": asked, "failed": error.message})
            raise
        self.said.append({"asked": asked, "said": said})
        return said

    def _do(self, words: tuple[str, ...], cwd: str) -> None:
        """What of a call's effects the next ones need: the workspace's own files."""
        if words[:2] == ("workspace", "add"):
            dot = Path(words[7], ".jj")
            (dot / "working_copy").mkdir(parents=True)
            note = jj_repository.noted(words[3]).replace(bytes(64), b"\1" * 64)
            (dot / "working_copy" / "checkout").write_bytes(note)
            (dot / "repo").write_text(f"{cwd}/.jj/repo")


def _repository(top: Path) -> Path:
    """What is found of a jj repository without jj."""
    common = top / "repository" / ".jj" / "repo"
    for part in ("store/git", "op_store/operations", "op_heads/heads"):
        (common / part).mkdir(parents=True)
    (common / "store" / "type").write_text("git")
    (common / "store" / "git_target").write_text("git")
    (common / "op_store" / "operations" / ("01" * 64)).touch()
    working_copy = common.parent / "working_copy"
    working_copy.mkdir()
    (working_copy / "checkout").write_bytes(jj_repository.noted("default"))
    return top / "repository"


def test_a_task_with_changes_and_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if RECORDS:
        bench = JjBench(tmp_path, real_jj(), colocated=False)
        bench.run("commit", "-m", "first")
        repository, environ = bench.repository, bench.environ
    else:
        repository, environ = _repository(tmp_path), {"PATH": os.environ["PATH"]}
    systems = WorktreeSystems(environ)
    systems.jj.jj = jj = RecordedJj(environ, tmp_path)
    work = str(tmp_path / "work")
    made = place.enter(systems, work, 1, "dev", "worktree", str(repository), "jj")
    assert made.tidy(systems) is None
    made.leave()
    made = place.enter(systems, work, 2, "dev", "worktree", str(repository), "jj")
    tree = Path(made.directory)
    (tree / "new").write_text("1\n2\n")
    (tree / "large").write_bytes(bytes(2 << 20))
    kept = made.tidy(systems)
    made.leave()
    assert kept is not None
    assert kept["branch"] == "khive/dev-t2"
    assert kept["changed"] == 2
    assert kept["diff"] == "1 file changed, 2 insertions(+)"
    assert kept["touched"] == ["new", "large"]
    if RECORDS:
        STORY.parent.mkdir(exist_ok=True)
        STORY.write_text(json.dumps(jj.said, indent=1) + "\n")
    else:
        assert jj.said == []
