"""Which store a client means, and so which supervisor it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.config.load import load
from khive_supervisor.errors import ConfigError, StoreUnavailable
from khive_supervisor.host.holder import Holder
from khive_supervisor.supervision.control import belonging as module
from khive_supervisor.supervision.control.belonging import Belonging, Elsewhere


@pytest.fixture
def default(tmp_path: Path) -> str:
    """The store of a configuration that names none."""
    return str(tmp_path / "default.db")


class Inline:
    """Looks at files at once, or never comes to an end."""

    def __init__(self) -> None:
        self.looks = 0
        self.answers = True

    async def run(self, look: Callable[[], Any]) -> Any:
        self.looks += 1
        if not self.answers:
            raise TimeoutError
        return look()


@pytest.fixture
def aside() -> Inline:
    return Inline()


@pytest.fixture
def ours(tmp_path: Path, default: str, aside: Any) -> Belonging:
    """Of a supervisor that serves the default store, by a file that names none."""
    return Belonging(default, "", str(tmp_path / "ours.toml"), None, "/run/ours", aside)


def elsewhere(belonging: Belonging, hello: dict[str, Any]) -> Elsewhere | None:
    return asyncio.run(belonging.admit(hello))


def file_of(tmp_path: Path, store: str, name: str = "theirs.toml") -> str:
    file = tmp_path / name
    file.write_text(f'[store]\npath = "{store}"\n' if store else "")
    return str(file)


def hello(default: str, **fields: Any) -> dict[str, Any]:
    return {"default_store": default, "config": None, "store": None, **fields}


# --- whom a client means --------------------------------------------------------------------------


def test_a_client_that_names_nothing_means_the_default_store(ours: Belonging, default: str) -> None:
    assert elsewhere(ours, hello(default)) is None
    ours = replace(ours, store="/another.db")
    assert elsewhere(ours, hello(default)) == Elsewhere(default, "")


def test_an_older_client_goes_by_the_socket_alone(ours: Belonging) -> None:
    assert elsewhere(ours, {"config": "/nowhere.toml"}) is None


def test_a_variable_names_a_store_before_any_file(
    ours: Belonging, default: str, tmp_path: Path
) -> None:
    other = str(tmp_path / "other.db")
    theirs = file_of(tmp_path, default)
    assert elsewhere(ours, hello(default, store=other, config=theirs)) == Elsewhere(other, "")
    assert elsewhere(ours, hello("/not.db", store=default, config=theirs)) is None


def test_a_file_names_a_store_or_none(ours: Belonging, default: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other.db")
    assert elsewhere(ours, hello(default, config=file_of(tmp_path, other))) == Elsewhere(other, "")
    assert elsewhere(ours, hello(default, config=file_of(tmp_path, default, "b.toml"))) is None
    assert elsewhere(ours, hello(default, config=file_of(tmp_path, "", "c.toml"))) is None


def test_our_own_file_means_what_is_in_force(ours: Belonging, default: str, tmp_path: Path) -> None:
    """It may say something else by now, or not be valid: that waits for the next start."""
    assert ours.file is not None
    Path(ours.file).write_text("not valid")
    assert elsewhere(ours, hello(default, config=ours.file)) is None
    named = str(tmp_path / "named.db")
    ours = replace(ours, own=named)
    assert elsewhere(ours, hello(default, config=ours.file)) == Elsewhere(named, "")


def test_a_link_to_our_store_is_our_store(ours: Belonging, default: str, tmp_path: Path) -> None:
    Path(default).touch()
    (tmp_path / "link.db").symlink_to(default)
    assert elsewhere(ours, hello(str(tmp_path / "link.db"))) is None


def test_where_another_store_s_supervisor_listens_is_told(
    ours: Belonging, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for socket, told in (("/run/theirs", "/run/theirs"), (None, ""), ("/run/ours", "")):
        monkeypatch.setattr(module.holder, "of", lambda _store, s=socket: Holder(7, s))
        assert elsewhere(ours, hello("/other.db")) == Elsewhere("/other.db", told)


# --- files that are looked at ---------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, "[store]\nwrong = 1\n", "[[["])
def test_a_file_that_is_not_valid_says_so(
    ours: Belonging, default: str, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "wrong.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"wrong\.toml"):
        elsewhere(ours, hello(default, config=str(file)))


def test_only_what_lies_elsewhere_is_looked_at_aside(
    ours: Belonging, aside: Inline, default: str, tmp_path: Path
) -> None:
    for config in (None, ours.file):
        elsewhere(ours, hello(default, config=config))
    assert aside.looks == 0
    elsewhere(ours, hello(default, config=file_of(tmp_path, "/a.db")))
    elsewhere(ours, hello(default, store="/a.db"))
    assert aside.looks == 2


@pytest.mark.parametrize("named", ["config", "store"])
def test_a_file_on_a_disk_that_does_not_answer_holds_nobody_up(
    ours: Belonging, aside: Inline, default: str, named: str
) -> None:
    aside.answers = False
    with pytest.raises(StoreUnavailable, match="What /far is could not be seen in time"):
        elsewhere(ours, hello(default, **{named: "/far"}))


# --- of a configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_a_supervisor_knows_whether_its_file_names_its_store(
    tmp_path: Path, *, named: bool
) -> None:
    store = str(tmp_path / "a.db")
    file = file_of(tmp_path, store if named else "", "ours.toml")
    made = Belonging.of(load(file, "/", {}), "/run/s", aside)
    assert (made.file, made.own, made.socket) == (file, store if named else None, "/run/s")


def test_a_variable_does_not_hide_what_the_file_names(tmp_path: Path, aside: Any) -> None:
    file = file_of(tmp_path, "/in-file.db", "ours.toml")
    made = Belonging.of(load(file, "/", {"KHIVE_STORE": "/by-variable.db"}), "/run/s", aside)
    assert (made.store, made.own) == ("/by-variable.db", "/in-file.db")
