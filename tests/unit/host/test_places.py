"""Directories that others can write, at any height, and homes that are somebody else's."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from khive_supervisor.errors import BootFailure
from khive_supervisor.host import ownership, paths


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    made = tmp_path / "a" / "b" / "c"
    made.mkdir(parents=True)
    for part in (made, made.parent, made.parent.parent):
        part.chmod(0o700)
    return made


@pytest.mark.parametrize("height", [0, 1, 2])
@pytest.mark.parametrize(
    ("mode", "others"),
    [(0o777, True), (0o722, True), (0o702, True), (0o1777, False), (0o755, False), (0o500, False)],
)
def test_each_directory_above_counts(deep: Path, height: int, mode: int, *, others: bool) -> None:
    part = [deep, *deep.parents][height]
    part.chmod(mode)
    file = deep / "khive.db"
    found = ownership.exposed(str(file))
    part.chmod(0o700)
    assert (found.path if found else None) == (str(part) if others else None)
    if found is not None:
        assert found.fix == f"Run `chmod go-w {part}`."
        assert "everybody" in found.why


def test_the_way_of_a_link_counts_and_so_does_where_it_leads(deep: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir(mode=0o700)
    (away / "link").symlink_to(deep)
    assert ownership.exposed(str(away / "link" / "file")) is None
    for part in (away, deep):
        part.chmod(0o777)
        found = ownership.exposed(str(away / "link" / "file"))
        part.chmod(0o700)
        assert found is not None
        assert os.path.samefile(found.path, part)


def test_a_file_that_others_can_write_is_exposed(deep: Path) -> None:
    file = deep / "khive.toml"
    file.write_text("")
    file.chmod(0o644)
    ownership.check([str(file)])
    file.chmod(0o666)
    with pytest.raises(BootFailure, match="can be written by everybody") as caught:
        ownership.check([str(file)])
    assert "chmod go-w" in caught.value.hint


def test_what_is_not_there_yet_is_not_exposed(deep: Path) -> None:
    ownership.check([str(deep / "new" / "newer" / "file")])


def test_a_users_own_group_may_write(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep.chmod(0o770)
    user = pwd.struct_passwd(("ada", "x", os.geteuid(), 4711, "", "/", "/bin/sh"))
    groups = {
        4711: (grp.struct_group(("ada", "x", 4711, ["ada"])), True),
        4712: (grp.struct_group(("staff", "x", 4712, [])), False),
    }
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: user)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: groups[gid][0])
    for gid, (_, own) in groups.items():
        ownership._is_own_group.cache_clear()
        found = os.stat(deep)
        entry = os.stat_result((*found[:5], gid, *found[6:10]))
        assert (ownership._judge(str(deep), entry) is None) is own
    ownership._is_own_group.cache_clear()


def test_what_belongs_to_another_user_is_exposed_and_nothing_is_made_there(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    monkeypatch.setattr(paths, "geteuid", lambda: somebody)
    if os.stat(deep).st_uid:
        found = ownership.exposed(str(deep / "file"))
        assert found is not None
        assert "belongs to uid" in found.why
        with pytest.raises(PermissionError, match="and not to this user"):
            paths.make_private_directory(str(deep / "new"))
        assert not (deep / "new").exists()


@pytest.mark.parametrize(
    ("uid", "owner", "elsewhere", "refused"),
    [
        (0, 1000, False, True),
        (0, 65534, False, True),
        (0, 0, False, False),
        (1000, 1000, False, False),
        (1000, 1001, False, False),  # an own home or none: its directories are judged one by one
        (0, 1000, True, False),
    ],
)
def test_root_stays_out_of_the_homes_of_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uid: int,
    owner: int,
    *,
    elsewhere: bool,
    refused: bool,
) -> None:
    found = os.stat(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    own = {b"HOME": str(tmp_path / "home").encode()}
    if elsewhere:
        own |= {b"XDG_DATA_HOME": b"/srv/data", b"XDG_STATE_HOME": b"/srv/state"}
    monkeypatch.setattr(paths, "environ", own)
    monkeypatch.setattr(paths, "geteuid", lambda: uid)
    entry = os.stat_result((*found[:4], owner, *found[5:10]))
    monkeypatch.setattr(paths, "stat", lambda _path: entry)
    text = paths.foreign_home()
    assert (text is not None) is refused
    if text is not None:
        assert "sudo -H" in text


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"])
def test_a_relative_place_is_refused_by_its_name(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = {b"HOME": str(tmp_path).encode()}
    monkeypatch.setattr(paths, "environ", places)
    assert paths.foreign_home() is None
    monkeypatch.setattr(paths, "environ", {**places, name.encode(): b"h1"})
    text = paths.foreign_home()
    assert text is not None
    assert text.startswith(f"{name} is 'h1', which is relative")
