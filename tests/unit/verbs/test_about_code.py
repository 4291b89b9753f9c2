"""Memories about code: what they point at is looked at again when they are shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.packs.truth import code
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / "src").mkdir(parents=True)
    (root / "src" / "retry.py").write_text("MAX = 7\n", encoding="utf-8")
    return root


@pytest.fixture
def context(tmp_path: Path, tree: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    opened = Context(
        config, SessionInfo(id="s", cwd=str(tree)), socket_path=None, make_embedder=lambda: None,
        grant=OPERATOR,
    )  # fmt: skip
    yield opened
    opened.close()


def remember(context: Context, *about: str) -> dict[str, Any]:
    args = {"content": "Retries are bounded.", "about": list(about)}
    return REGISTRY.call(context, "memory.remember", args)


def state(context: Context) -> str:
    (found,) = REGISTRY.call(context, "memory.recall", {"query": "retries"})["results"]
    return str(found.get("code"))


def test_a_declared_value_is_compared_with_the_code(context: Context, tree: Path) -> None:
    assert remember(context, "src/retry.py::MAX=7")["about"] == ["src/retry.py::MAX=7"]
    assert state(context) == "src/retry.py::MAX=7: fresh"
    (tree / "src" / "retry.py").write_text("MAX = 5\n", encoding="utf-8")
    assert state(context) == "src/retry.py::MAX=7: changed (MAX is 5)"
    (tree / "src" / "retry.py").write_text("MIN = 5\n", encoding="utf-8")
    assert state(context) == "src/retry.py::MAX=7: gone (MAX is not there)"


def test_what_has_moved_is_found(context: Context, tree: Path) -> None:
    remember(context, "src/retry.py::MAX=7", "src/retry.py")
    (tree / "lib").mkdir()
    (tree / "src" / "retry.py").rename(tree / "lib" / "retry.py")
    assert state(context) == (
        "src/retry.py::MAX=7: moved (to lib/retry.py); src/retry.py: moved (to lib/retry.py)"
    )
    (tree / "lib" / "retry.py").write_text("MAX = 9\n", encoding="utf-8")
    assert state(context) == (
        "src/retry.py::MAX=7: moved (to lib/retry.py; MAX is 9); "
        "src/retry.py: gone (src/retry.py is not there)"
    )


def test_a_file_that_git_has_under_another_name_is_found(context: Context, tree: Path) -> None:
    remember(context, "src/retry.py")
    data = (tree / "src" / "retry.py").read_bytes()
    (tree / "src" / "retry.py").rename(tree / "src" / "again.py")
    (tree / ".git").mkdir()
    entry = b"\0" * 40 + bytes.fromhex(code.blob_id(data)) + b"\0\x0c" + b"src/again.py\0"
    (tree / ".git" / "index").write_bytes(b"DIRC\0\0\0\2\0\0\0\1" + entry)
    assert state(context) == "src/retry.py: moved (to src/again.py)"


@pytest.mark.parametrize("place", ["/etc/passwd", "../x", "nowhere.py", "src", "link.py", "pipe"])
def test_what_is_no_file_of_the_project_is_refused(
    context: Context, tree: Path, place: str
) -> None:
    (tree / "link.py").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    with pytest.raises(InvalidInput):
        remember(context, place)
    assert context.store.entries.highest_id() == 0


def test_a_file_that_became_a_link_is_not_followed(context: Context, tree: Path) -> None:
    remember(context, "src/retry.py::MAX=7")
    (tree / "src" / "retry.py").unlink()
    (tree / "src" / "retry.py").symlink_to("/etc/hostname")
    assert state(context) == "src/retry.py::MAX=7: gone (src/retry.py is not there)"


def test_no_more_is_read_than_there_is_time_for(context: Context, tree: Path) -> None:
    remember(context, "src/retry.py::MAX=7")
    entries = context.store.entries.recent()
    ticks = iter(range(0, 1000, 100))
    said = code.freshness(context, entries, lambda: float(next(ticks)))
    assert said == {1: {"code": "src/retry.py::MAX=7: not looked at"}}


def test_an_absolute_path_in_the_project_is_meant_from_its_root(
    context: Context, tree: Path
) -> None:
    place = f"{os.path.realpath(tree)}/src/retry.py::MAX"
    assert remember(context, place)["about"] == ["src/retry.py::MAX"]


def test_the_root_is_the_working_tree(tree: Path) -> None:
    (tree / ".git").mkdir()
    assert code.root_of(str(tree / "src")) == os.path.realpath(tree)
