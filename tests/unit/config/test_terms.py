"""The terms of one session: its user's other configuration, its project's file, and neither."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.config.load import load
from khive_supervisor.config.project.alone import load_alone
from khive_supervisor.config.project.terms import EffectiveTerms, Serving, SessionStart, TermsOf
from khive_supervisor.config.project.text import overlay
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.service import SessionSettings
from khive_supervisor.errors import ConfigError, StoreUnavailable
from khive_supervisor.host import paths, repository
from khive_supervisor.supervision.control import terms as supervision
from khive_supervisor.supervision.maintenance.aside import Aside


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in (*repository.FILES, *repository.DIRECTORIES):
        monkeypatch.delenv(name, raising=False)
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.setenv("HOME", str(found))
    yield found
    os.environ["HOME"] = str(found)


@pytest.fixture
def shop(home: Path) -> Path:
    (home / "shop/.git").mkdir(parents=True)
    (home / "shop/khive.toml").write_text(
        '[project]\nname = "Shop"\n[search]\ncandidates = 150\n[session]\nnamespace = "x"\n'
    )
    return home / "shop"


def terms(
    asked: SessionStart, config: Config | None = None, file: str | None = None
) -> EffectiveTerms:
    return TermsOf(paths.home())(Serving(config or Config(), file), asked)


def test_a_session_outside_of_projects_has_what_there_is(home: Path) -> None:
    assert terms(SessionStart(str(home))) == EffectiveTerms()


def test_a_project_sets_its_own_sessions_preferences_and_no_namespace(shop: Path) -> None:
    found = terms(SessionStart(str(shop)))
    assert found.settings == {"search": {"candidates": 150}}
    assert found.project == {
        "root": str(shop), "name": "Shop", "file": str(shop / "khive.toml")
    }  # fmt: skip
    (ignored,) = found.ignored
    assert ignored.key == "session.namespace"
    assert ignored.instead.splitlines()[1] == 'path = "~/shop/**"'
    config = overlay(Config(), found.settings)
    assert (config.search.candidates, config.session) == (150, SessionSettings())


def test_a_project_without_a_file_is_named_by_its_directory(home: Path) -> None:
    (home / "bare/.git").mkdir(parents=True)
    assert terms(SessionStart(str(home / "bare"))).project["name"] == "bare"


@pytest.mark.parametrize("way", ["--config", "KHIVE_CONFIG", "hello"])
def test_a_configuration_in_the_project_says_what_a_projects_file_may(shop: Path, way: str) -> None:
    file = shop / "conf/mine.toml"
    file.parent.mkdir()
    file.write_text('[search]\ncandidates = 120\n[store]\npath = "/x.db"\n[[roles]]\nrole = "r"\n')
    asked = SessionStart(str(shop), None, ((way, str(file)),))
    if way == "hello":  # a client that did not look
        asked = SessionStart(str(shop), str(file))
    found = terms(asked)
    assert found.settings == {"search": {"candidates": 120}}
    assert {"store.path", "roles"} <= {one.key for one in found.ignored}


def test_another_configuration_of_the_user_gives_its_sessions_what_is_theirs(home: Path) -> None:
    other = home / "other.toml"
    other.write_text(
        '[session]\nnamespace = "mine"\nallowed_namespaces = ["mine"]\n[log]\nlevel = "debug"\n'
        '[index]\nsearch_k = 5\ntrees = 9\n[store]\npath = "/elsewhere.db"\n'
        '[[roles]]\nrole = "r"\n'
    )
    found = terms(SessionStart(str(home), str(other)), file="/supervisor.toml")
    config = overlay(Config(), found.settings)
    assert config.session.namespace == "mine"
    assert config.session.allowed_namespaces == ("mine",)
    assert config.index.search_k == 5
    assert (config.index.trees, config.log.level) == (Config().index.trees, "info")
    assert [one.key for one in found.ignored] == ["index.trees", "log.level"]
    assert "/supervisor.toml" in found.ignored[0].why


def test_a_session_by_the_defaults_is_not_given_the_supervisors_namespace(home: Path) -> None:
    serving = Config(session=SessionSettings(namespace="shop"))
    found = terms(SessionStart(str(home)), serving, str(home / "shop.toml"))
    assert overlay(serving, found.settings) == Config()
    anonymous = terms(SessionStart(str(home), anonymous=True), serving, str(home / "shop.toml"))
    assert overlay(serving, anonymous.settings) == serving


def test_the_users_own_file_is_the_supervisors_from_the_next_reload(home: Path) -> None:
    own = home / ".config/khive/khive.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[session]\nnamespace = "new"\n')
    assert terms(SessionStart(str(home), str(own))) == EffectiveTerms()


def test_the_same_file_by_another_name_is_the_same(home: Path, tmp_path: Path) -> None:
    file = home / "c.toml"
    file.write_text('[session]\nnamespace = "n"\n')
    (tmp_path / "link.toml").symlink_to(file)
    assert (
        terms(SessionStart("/", str(tmp_path / "link.toml")), Config(), str(file))
        == EffectiveTerms()
    )


def test_another_configuration_that_is_not_valid_is_an_error(home: Path) -> None:
    (home / "bad.toml").write_text("[session]\nnamespace = 5\n")
    with pytest.raises(ConfigError, match=r"bad\.toml:2"):
        terms(SessionStart(str(home), str(home / "bad.toml")))
    with pytest.raises(ConfigError, match="cannot be read"):
        terms(SessionStart(str(home), str(home / "gone.toml")))


def test_the_projects_preferences_go_on_top_of_the_users(home: Path, shop: Path) -> None:
    other = home / "other.toml"
    other.write_text("[search]\ncandidates = 20\nmax_query_characters = 700\n")
    found = terms(SessionStart(str(shop), str(other)))
    assert found.settings == {"search": {"candidates": 150, "max_query_characters": 700}}


def test_a_variable_that_was_ignored_is_said(shop: Path) -> None:
    found = terms(SessionStart(str(shop), None, (("KHIVE_STORE", "x.db"), ("XDG_DATA_HOME", "x"))))
    said = {one.place: one.why for one in found.ignored}
    assert "leads into the project" in said["environment KHIVE_STORE"]
    assert "absolute" in said["environment XDG_DATA_HOME"]


def test_who_is_served_alone_has_the_same_terms(shop: Path) -> None:
    config, found = load_alone(None, str(shop), [])
    assert config.search.candidates == 150
    assert config == overlay(load(None, str(shop), {}).config, found.settings)


def test_a_link_that_leads_out_of_the_project_is_read_for_nobody(shop: Path) -> None:
    (shop / "out.toml").symlink_to("/etc/hostname")
    found = terms(SessionStart(str(shop), None, (("KHIVE_CONFIG", "out.toml"),)))
    assert found.settings == {}
    assert "leads out of the project" in found.ignored[-1].why


# --- the supervisor's side ------------------------------------------------------------------------


def of(
    hello: dict[str, Any], times: int = 1, patience: float = 60.0
) -> tuple[list[EffectiveTerms], list[dict[str, str]]]:
    async def ask() -> tuple[list[EffectiveTerms], list[dict[str, str]]]:
        sessions = supervision.SessionTerms(Aside(patience))
        found = [await sessions.of(Serving(Config(), None), hello) for _ in range(times)]
        return found, sessions.describe()

    return asyncio.run(ask())


def test_what_is_ignored_is_said_once(shop: Path) -> None:
    found, said = of({"cwd": str(shop), "config": None}, times=3)
    assert all(one.settings == {"search": {"candidates": 150}} for one in found)
    assert [one["key"] for one in said] == ["session.namespace"]


@pytest.mark.parametrize("ignored", [["x"], [["a"]], [[1, 2]], [None], ["KHIVE_CONFIG", "x"]])
def test_what_a_hello_ignored_need_not_make_sense(home: Path, ignored: list[Any]) -> None:
    found, _ = of({"cwd": str(home), "config": None, "ignored": ignored})
    assert found == [EffectiveTerms()]


def test_a_directory_that_does_not_answer_keeps_nobody_waiting(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(supervision.TermsOf, "__call__", lambda *_: answer.wait(20))
    try:
        found, said = of({"cwd": str(shop), "config": None}, times=Aside().most + 2, patience=0.05)
        assert all(one.settings == {} for one in found)
        assert "did not answer" in said[0]["why"]
        with pytest.raises(StoreUnavailable):
            of({"cwd": str(shop), "config": "/elsewhere.toml"}, patience=0.05)
    finally:
        answer.set()


def test_an_older_client_takes_what_lies_in_its_directory_for_a_configuration(home: Path) -> None:
    (home / "folder").mkdir()
    file = home / "folder/khive.toml"
    file.write_text('[session]\nnamespace = "x"\n')
    hello = {"cwd": str(file.parent), "config": str(file)}
    (older,), said = of(hello)
    assert older.settings == {}
    assert [one["key"] for one in said] == ["session.namespace"]
    (typed,), _ = of({**hello, "ignored": []})
    assert typed.settings == {"session": {"namespace": "x"}}


def test_an_invalid_configuration_reaches_who_named_it(home: Path) -> None:
    (home / "bad.toml").write_text("nothing")
    with pytest.raises(ConfigError):
        of({"cwd": str(home), "config": str(home / "bad.toml")})
