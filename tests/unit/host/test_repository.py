"""What is the user's word and what the project's: every way of naming, in every place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.config.load import load
from khive_supervisor.host import paths, repository

#: The ways in which a session can be given a configuration.
WAYS = ("--config", "KHIVE_CONFIG", "XDG_CONFIG_HOME", "working directory")
VARIABLES = (*repository.FILES, *repository.DIRECTORIES, "HOME")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home directory with khive's own in it, of an account whose home is elsewhere."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    found = tmp_path / "home"
    (found / ".config/khive").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(found))
    monkeypatch.setattr(repository, "account_home", lambda: str(tmp_path / "account"))
    yield found
    os.environ.clear()
    os.environ.update(before)


def make_repository(directory: Path, mark: str = ".git") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    if mark == "worktree":
        (directory / ".git").write_text("gitdir: /elsewhere\n")
    else:
        (directory / mark).mkdir()
    return directory


def write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[index]\ntrees = 7\n")
    return file


def loaded_by(way: str, file: Path, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a file is the configuration of a session that names it so."""
    explicit = None
    if way == "--config":
        explicit = str(file)
    elif way == "KHIVE_CONFIG":
        monkeypatch.setenv("KHIVE_CONFIG", str(file))
    elif way == "XDG_CONFIG_HOME":
        below = file.parent / "xdg/khive/khive.toml"
        below.parent.mkdir(parents=True, exist_ok=True)
        below.symlink_to(file) if file.is_symlink() else below.write_bytes(file.read_bytes())
        monkeypatch.setenv("XDG_CONFIG_HOME", str(file.parent / "xdg"))
    paths.distrust(explicit, str(cwd))
    return load(explicit, str(cwd), os.environ).config.index.trees == 7


# --- a configuration in the repository is never the user's ----------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mark", [".git", ".jj", "worktree"])
@pytest.mark.parametrize("inside", ["", "sub/deeper"])
def test_a_file_in_the_repository_is_no_configuration(
    home: Path, way: str, mark: str, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "src/evil", mark)
    cwd = root / inside
    cwd.mkdir(parents=True, exist_ok=True)
    file = write((cwd if way == "working directory" else root) / "khive.toml")
    assert not loaded_by(way, file, cwd, monkeypatch)


@pytest.mark.parametrize("way", WAYS[:3])
def test_a_file_in_a_repository_around_the_nearest_one_is_none_either(
    home: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = make_repository(home / "outer")
    inner = make_repository(outer / "vendor/inner")
    assert not loaded_by(way, write(outer / "c.toml"), inner, monkeypatch)


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_link_to_a_file_in_the_repository_is_seen_through(
    home: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    link = tmp_path / "innocent.toml"
    link.symlink_to(write(root / "c.toml"))
    assert not loaded_by(way, link, root, monkeypatch)


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_working_directory_that_is_a_link_is_seen_through(
    home: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    file = write(root / "c.toml")
    link = tmp_path / "link"
    link.symlink_to(root)
    assert not loaded_by(way, file, link, monkeypatch)


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize("through", ["file", "directory"])
def test_a_link_in_the_repository_that_leads_out_of_it_is_its_word_too(
    home: Path, tmp_path: Path, way: str, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    outside = write(tmp_path / "planted/c.toml")
    if through == "file":
        (root / "c.toml").symlink_to(outside)
        assert not loaded_by(way, root / "c.toml", root, monkeypatch)
    else:
        (root / "in").symlink_to(outside.parent)
        assert not loaded_by(way, root / "in/c.toml", root, monkeypatch)


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_name_that_only_begins_in_the_repository_is_the_users(
    home: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "project")
    write(home / "c.toml")
    assert loaded_by(way, root / "../c.toml", root, monkeypatch)


@pytest.mark.parametrize("named", ["khive.toml", "./sub/../khive.toml", "../evil/khive.toml"])
def test_a_relative_name_starts_from_the_working_directory(
    home: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    write(root / "khive.toml")
    (root / "sub").mkdir()
    monkeypatch.setenv("KHIVE_CONFIG", named)
    assert [name for name, _ in paths.distrust(None, str(root))] == ["KHIVE_CONFIG"]
    assert load(None, str(root), os.environ).config.index.trees != 7


def test_a_repository_in_khives_own_directory_is_a_repository(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_repository(home / ".local/state/khive/work/t1", "worktree")
    assert not loaded_by("KHIVE_CONFIG", write(tree / "khive.toml"), tree, monkeypatch)


def test_without_a_repository_a_variable_does_not_reach_into_the_working_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "unpacked"
    file = write(folder / "c.toml")
    assert not loaded_by("KHIVE_CONFIG", file, folder, monkeypatch)
    assert loaded_by("--config", file, folder, monkeypatch)


# --- what stays the user's word ------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize("beside", ["", "other"])
def test_a_file_outside_of_the_repository_is_the_users(
    home: Path, way: str, beside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "src/project")
    if beside:
        make_repository(home / beside)
    assert loaded_by(way, write(home / beside / "c.toml"), root, monkeypatch)


@pytest.mark.parametrize("place", [".", ".config", ".config/khive"])
@pytest.mark.parametrize("cwd", [".", ".config", ".config/khive", "notes"])
def test_a_home_that_is_kept_in_a_repository_keeps_its_configuration(
    home: Path, place: str, cwd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(home / place)
    (home / cwd).mkdir(exist_ok=True)
    own = write(home / ".config/khive/khive.toml")
    assert paths.distrust(None, str(home / cwd)) == []
    assert load(None, str(home / cwd), {}).file == str(own)
    # The same, if somebody says what holds anyway.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("KHIVE_CONFIG", str(own))
    assert paths.distrust(str(own), str(home / cwd)) == []
    assert load(str(own), str(home / cwd), {}).file == str(own)


def test_a_configuration_that_is_linked_from_the_users_directory_is_the_users(home: Path) -> None:
    root = make_repository(home / "dotfiles")
    target = write(root / "khive/khive.toml")
    own = home / ".config/khive/khive.toml"
    own.symlink_to(target)
    assert load(None, str(root), {}).file == str(own)


@pytest.mark.parametrize("cwd", ["/", "/tmp"])
def test_in_shared_places_there_is_no_project(cwd: str, home: Path) -> None:
    assert repository.project_of(cwd, str(home)) is None


def test_the_home_directory_and_what_is_above_it_are_no_project(home: Path, tmp_path: Path) -> None:
    make_repository(home)
    make_repository(tmp_path)
    for directory in (home, tmp_path):
        assert repository.project_of(str(directory), str(home)) is None
    (home / "notes").mkdir()
    assert repository.repository_of(str(home / "notes"), str(home)) is None
    assert repository.project_of(str(home / "notes"), str(home)) == str(home / "notes")


# --- the environment ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("inside", ["x", "deep/er/x"])
def test_no_variable_leads_into_the_repository(
    home: Path, name: str, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    monkeypatch.setenv(name, str(root / inside))
    assert paths.distrust(None, str(root)) == [(name, str(root / inside))]
    assert os.environ.get(name) == (str(Path(paths.home())) if name == "HOME" else None)
    assert str(root) not in paths.config_home() + paths.data_home() + paths.state_home()
    assert str(root) not in paths.socket_path(None)


@pytest.mark.parametrize("name", VARIABLES)
def test_no_variable_is_relative(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(home / "evil")
    monkeypatch.setenv(name, "x")
    assert paths.distrust(None, str(root)) == [(name, "x")]


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_leads_elsewhere_stays(
    home: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "project")
    monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert paths.distrust(None, str(root)) == []
    assert os.environ[name] == str(tmp_path / "elsewhere")


def test_a_store_below_the_home_directory_by_its_short_name_is_judged(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    monkeypatch.setenv("KHIVE_STORE", "~/evil/khive.db")
    assert [name for name, _ in paths.distrust(None, str(root))] == ["KHIVE_STORE"]
    monkeypatch.setenv("KHIVE_STORE", "~/khive.db")
    assert paths.distrust(None, str(root)) == []


def test_a_home_that_is_a_repository_in_a_home_was_pointed_there(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(home / "evil")
    write(root / ".config/khive/khive.toml")
    monkeypatch.setenv("HOME", str(root))
    assert paths.distrust(None, str(root)) == [("HOME", str(root))]
    assert os.environ["HOME"] == str(tmp_path / "account")


def test_a_home_that_lies_in_a_repository_with_the_accounts_is_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(tmp_path)
    monkeypatch.setattr(repository, "account_home", lambda: str(tmp_path / "home"))
    (tmp_path / "beside").mkdir()
    assert paths.distrust(None, str(tmp_path / "beside")) == []
