"""Finding a project's file, and reading only what belongs to this user and to nobody else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_supervisor.config.project import discovery
from khive_supervisor.config.project.discovery import (
    MAX_REMEMBERED,
    ProjectFiles,
    ProjectPlace,
    find,
)
from khive_supervisor.config.project.text import MAX_BYTES, Project, overlay
from khive_supervisor.config.settings.model import Config

TEXT = '[project]\nname = "shop"\n'
NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def root(home: Path) -> Path:
    directory = home / "shop"
    (directory / ".git").mkdir(parents=True)
    return directory


def said(cwd: Path, home: Path) -> Project:
    place = find(str(cwd), str(home))
    if place is None or place.file is None:
        return Project()
    return ProjectFiles().read(place.file, place, str(home))


def refused(cwd: Path, home: Path) -> str:
    """Why the file that was found is not read."""
    project = said(cwd, home)
    assert (project.name, dict(project.settings)) == ("", {})
    (ignored,) = project.ignored
    return ignored.why


# --- where it is looked for -------------------------------------------------------------------


def test_it_is_found_from_below_up_to_the_root_of_the_repository(home: Path, root: Path) -> None:
    (root / "khive.toml").write_text(TEXT)
    (root / "a/b").mkdir(parents=True)
    assert said(root / "a/b", home).name == "shop"
    (root / "a/khive.toml").write_text('[project]\nname = "nearer"\n')
    assert said(root / "a/b", home).name == "nearer"
    assert said(root, home).name == "shop"


@pytest.mark.parametrize("mark", [".git", ".jj"])
def test_it_is_never_looked_for_beyond_the_root(home: Path, mark: str) -> None:
    (home / "above/inner" / mark).mkdir(parents=True)
    (home / "above/khive.toml").write_text(TEXT)
    assert find(str(home / "above/inner"), str(home)) == ProjectPlace(
        str(home / "above/inner"), None
    )


def test_the_file_of_a_worktree_marks_a_root_too(home: Path) -> None:
    (home / "tree/sub").mkdir(parents=True)
    (home / "tree/.git").write_text("gitdir: /elsewhere\n")
    (home / "tree/khive.toml").write_text(TEXT)
    assert said(home / "tree/sub", home).name == "shop"


def test_without_a_repository_only_the_directory_itself_counts(home: Path) -> None:
    (home / "folder/sub").mkdir(parents=True)
    (home / "folder/khive.toml").write_text(TEXT)
    assert said(home / "folder", home).name == "shop"
    assert find(str(home / "folder/sub"), str(home)) == ProjectPlace(str(home / "folder/sub"), None)


@pytest.mark.parametrize("mark", [True, False])
def test_the_home_directory_and_shared_places_have_none(home: Path, mark: bool) -> None:
    if mark:
        (home / ".git").mkdir()
    (home / "khive.toml").write_text(TEXT)
    assert find(str(home), str(home)) is None
    assert find(str(home.parent), str(home)) is None
    for shared in ("/", "/tmp", "/var/tmp"):
        assert find(shared, str(home)) is None
    (home / "notes").mkdir()
    assert find(str(home / "notes"), str(home)) == ProjectPlace(str(home / "notes"), None)


def test_a_directory_that_is_gone_has_none(home: Path) -> None:
    assert find(str(home / "gone"), str(home)) == ProjectPlace(str(home / "gone"), None)


# --- what is read --------------------------------------------------------------------------------


def test_a_link_inside_the_repository_is_followed(home: Path, root: Path) -> None:
    (root / "conf").mkdir()
    (root / "conf/x.toml").write_text(TEXT)
    (root / "khive.toml").symlink_to("conf/x.toml")
    assert said(root, home).name == "shop"


def _link_out(file: Path) -> None:
    (file.parents[1] / "secret.toml").write_text(TEXT)
    file.symlink_to("../secret.toml")


def _link_through_a_directory(file: Path) -> None:
    (file.parents[1] / "outside").mkdir()
    (file.parents[1] / "outside/khive.toml").write_text(TEXT)
    (file.parent / "in").symlink_to("../outside")
    file.symlink_to("in/khive.toml")


def _loop(file: Path) -> None:
    file.symlink_to(file)


def _dangling(file: Path) -> None:
    file.symlink_to("nowhere")


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _huge(file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(1 << 30)


def _a_little_too_long(file: Path) -> None:
    file.write_text(TEXT + "#" * MAX_BYTES)


def _latin(file: Path) -> None:
    file.write_bytes(b'[project]\nname = "caf\xe9"\n')


def _writable_file(file: Path) -> None:
    file.write_text(TEXT)
    file.chmod(0o646)


def _writable_directory(file: Path) -> None:
    file.write_text(TEXT)
    file.parent.chmod(0o777)


def _sticky_directory(file: Path) -> None:
    file.write_text(TEXT)
    file.parent.chmod(0o1777)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_link_out, "leads out of the project"),
        (_link_through_a_directory, "leads out of the project"),
        (lambda file: file.symlink_to("/dev/zero"), "leads out of the project"),
        (lambda file: file.symlink_to("/proc/self/environ"), "leads out of the project"),
        (_loop, ""),
        (_dangling, "No such file"),
        (Path.mkdir, "not a regular file"),
        (_fifo, "not a regular file"),
        (_huge, "larger than"),
        (_a_little_too_long, "larger than"),
        (_latin, "not UTF-8"),
        (_writable_file, "others can write"),
        (_writable_directory, "others can write"),
        (_sticky_directory, "others can write"),
    ],
)
def test_what_is_not_read(home: Path, root: Path, make: Callable[[Path], None], why: str) -> None:
    make(root / "khive.toml")
    assert why in refused(root, home)


@pytest.mark.parametrize("who", ["file", "directory", "link"])
def test_what_belongs_to_another_user_is_not_read(
    home: Path, root: Path, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = root / "khive.toml"
    (root / "real.toml").write_text(TEXT)
    given = {"file": file, "directory": root, "link": root / "real.toml"}[who]
    if who == "link":
        file.symlink_to("real.toml")
    else:
        file.write_text(TEXT)
    if os.geteuid() == 0:
        os.chown(given, NOBODY, NOBODY)
    else:  # who cannot give a file away is somebody else instead
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert "belongs to another user" in refused(root, home)


@pytest.mark.parametrize("private", [True, False])
def test_a_group_may_write_if_it_is_of_this_user_alone(
    home: Path, root: Path, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "khive.toml").write_text(TEXT)
    root.chmod(0o775)
    monkeypatch.setattr(discovery, "_is_private", lambda _group: private)
    if private:
        assert said(root, home).name == "shop"
    else:
        assert "others can write" in refused(root, home)


def test_the_group_of_another_user_is_not_this_users_alone() -> None:
    assert not discovery._is_private(NOBODY)
    assert not discovery._is_private(4_000_000_000)


def test_a_byte_order_mark_is_no_content(home: Path, root: Path) -> None:
    (root / "khive.toml").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert said(root, home).name == "shop"


# --- how often -----------------------------------------------------------------------------------


def test_a_file_is_read_again_only_when_it_has_changed(home: Path, root: Path) -> None:
    file, files = root / "khive.toml", ProjectFiles()
    file.write_text(TEXT)
    place = ProjectPlace(str(root), str(file))
    first = files.read(str(file), place, str(home))
    assert files.read(str(file), place, str(home)) is first
    replacement = root / "new"
    replacement.write_text(TEXT.replace("shop", "mart"))
    replacement.replace(file)
    assert files.read(str(file), place, str(home)).name == "mart"
    root.chmod(0o777)
    assert files.read(str(file), place, str(home)).name == ""


def test_what_is_remembered_is_bounded(home: Path) -> None:
    files = ProjectFiles()
    for number in range(MAX_REMEMBERED + 5):
        directory = home / str(number)
        directory.mkdir()
        (directory / "khive.toml").write_text(TEXT)
        file = str(directory / "khive.toml")
        files.read(file, ProjectPlace(str(directory), file), str(home))
    assert len(files) <= MAX_REMEMBERED


def test_many_threads_may_read_at_once(home: Path, root: Path) -> None:
    (root / "khive.toml").write_text(TEXT)
    files, names = ProjectFiles(), []
    place = ProjectPlace(str(root), str(root / "khive.toml"))

    def look() -> None:
        names.append(files.read(str(root / "khive.toml"), place, str(home)).name)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert names == ["shop"] * 8
    assert overlay(Config(), {}) == Config()
