"""What `doctor` finds of a service: each with why it matters, and what to do about it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from one_answer import client_that_hears

from khive_supervisor import __version__
from khive_supervisor.cli.doctor import checks, doctor, service
from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.cli.doctor.project import check_project
from khive_supervisor.config.load import LoadedConfig, from_dict, load
from khive_supervisor.config.project.text import FILE_NAME
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import Denied, KhiveError, NotRunning, StoreRefused, Unresponsive
from khive_supervisor.host.holder import Holder
from khive_supervisor.sqlite.opening import open_store

Told = Callable[[Any], None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return from_dict({"store": {"path": str(tmp_path / "data/k.db")}})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Sets what a supervisor says of itself, or what it is asked in vain with."""

    def set_answer(answer: Any) -> None:
        monkeypatch.setattr(service, "ControlClient", client_that_hears(answer))

    return set_answer


def only(results: Iterable[Check]) -> Check:
    (result,) = results
    return result


def status(**more: object) -> dict[str, Any]:
    return {"pid": 7, "version": __version__, "state": "ready", "log": "/l", "children": [], **more}


# --- the supervisor -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("children", "state", "why"),
    [
        ([], "ok", ""),
        ([("zygote", "ready"), ("embedder", "stopped")], "ok", ""),
        ([("zygote", "ready"), ("embedder", "backoff")], "fail", "These keep ending: embedder."),
        ([("zygote", "fatal"), ("embedder", "backoff")], "fail", "keep ending: zygote, embedder."),
        ([("zygote", "backoff"), ("embedder", "hung")], "fail", "do not answer: embedder."),
    ],
)
def test_children_that_end_or_hang_are_named(
    told: Told, children: list[tuple[str, str]], state: str, why: str
) -> None:
    told(status(children=[{"name": name, "state": how} for name, how in children]))
    result = only(service.check_supervisor("/s"))
    assert result.status == state
    assert result.why.endswith(why)
    assert bool(result.fix) == (state == "fail")


def test_a_store_that_is_gone_is_what_is_wrong_first(told: Told) -> None:
    hung = [{"name": "zygote", "state": "hung"}]
    told(status(store_problem="It was deleted.", children=hung))
    result = only(service.check_supervisor("/s"))
    assert (result.status, result.why) == ("fail", "It was deleted.")


def test_a_confined_command_is_told_of_no_children(told: Told) -> None:
    shown = status()
    del shown["children"]
    told(shown)
    assert only(service.check_supervisor("/s")).status == "ok"


def test_one_that_has_the_store_and_does_not_listen_is_a_failure(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(NotRunning("nobody"))
    monkeypatch.setattr("khive_supervisor.cli.connection.finding.stopped", lambda _pid: False)
    result = only(service.check_supervisor("/s", Holder(4711, "/s", __version__)))
    assert result.status == "fail"
    assert "4711" in result.what
    assert "kill -9 4711" in result.fix


@pytest.mark.parametrize("error", [Unresponsive("It hangs.", hint="kill"), Denied("No.", hint="x")])
def test_one_that_cannot_be_asked_is_a_failure_with_its_hint(told: Told, error: KhiveError) -> None:
    told(error)
    result = only(service.check_supervisor("/s"))
    assert (result.status, result.what, result.fix) == ("fail", error.message, error.hint)


# --- http -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [NotRunning("nobody"), OSError(), status(), status(http={"state": "off"})]
)
def test_nothing_is_said_of_http_that_nobody_asked_for(told: Told, answer: Any) -> None:
    told(answer)
    assert list(service.check_http("/s")) == []


@pytest.mark.parametrize(
    ("http", "state", "what", "why"),
    [
        ({"state": "ready", "problem": ""}, "ok", "http://h, the token is in /t", ""),
        ({"state": "failed", "problem": "port in use"}, "fail", "HTTP is not served: failed",
         "port in use"),
    ],
)  # fmt: skip
def test_http_that_was_asked_for_is_served_or_not(
    told: Told, http: dict[str, str], state: str, what: str, why: str
) -> None:
    told(status(http={"url": "http://h", "token_file": "/t", **http}))
    result = only(service.check_http("/s"))
    assert (result.status, result.what, result.why) == (state, what, why)


# --- roles ----------------------------------------------------------------------------------------


def with_role(tmp_path: Path, command: str) -> LoadedConfig:
    (tmp_path / "khive.toml").write_text(
        f'[[roles]]\nrole = "critic"\ntask_types = ["t"]\nhandler = {{ command = ["{command}"] }}\n'
    )
    return load(str(tmp_path / "khive.toml"), "/", {})


@pytest.fixture
def bin_directory(tmp_path: Path) -> str:
    """A directory with one program."""
    program = tmp_path / "bin" / "critique"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    return str(program.parent)


def test_roles_that_lack_nothing_are_counted(
    told: Told, tmp_path: Path, bin_directory: str
) -> None:
    told(NotRunning("nobody"))
    found = with_role(tmp_path, "critique")
    result = only(service.check_roles(found, {"PATH": bin_directory}, "/s"))
    assert (result.status, result.what) == ("ok", "Nothing is lacking for 1 role")


def test_a_program_that_is_nowhere_is_named_with_its_place(
    told: Told, tmp_path: Path, bin_directory: str
) -> None:
    told(NotRunning("nobody"))
    result = only(service.check_roles(with_role(tmp_path, "x"), {"PATH": bin_directory}, "/s"))
    assert (result.status, result.what) == ("fail", "The role critic cannot work here")
    assert "khive.toml:4" in result.why
    assert '"x"' in result.why


def test_a_program_that_only_this_shell_has_is_told_apart(
    told: Told, tmp_path: Path, bin_directory: str
) -> None:
    told(status(environment={"path": "/nowhere"}))
    found = with_role(tmp_path, "critique")
    result = only(service.check_roles(found, {"PATH": bin_directory}, "/s"))
    assert "lacks in the supervisor what this shell has" in result.what
    assert "roles look in /nowhere" in result.why
    assert "[agents]" in result.fix


def test_a_program_that_the_supervisor_has_is_enough(
    told: Told, tmp_path: Path, bin_directory: str
) -> None:
    told(status(environment={"path": bin_directory}))
    found = with_role(tmp_path, "critique")
    assert only(service.check_roles(found, {"PATH": "/nowhere"}, "/s")).status == "ok"


def test_without_roles_nothing_is_said(told: Told, tmp_path: Path) -> None:
    told(NotRunning("nobody"))
    found = load(None, str(tmp_path), {})
    assert list(service.check_roles(found, {}, "/s")) == []


# --- places ---------------------------------------------------------------------------------------


def test_places_that_others_can_write_are_named_once_each(tmp_path: Path, home: Path) -> None:
    found = load(None, "/", {})
    found = dataclasses.replace(found, config=from_dict({"store": {"path": f"{home}/o/k.db"}}))
    (home / "o").mkdir()
    socket = str(tmp_path / "run" / "s")
    assert [one.status for one in service.check_directories(found, socket)] == ["ok"]
    (home / "o").chmod(0o777)
    (result,) = service.check_directories(found, socket)
    assert result.status == "fail"
    assert f"{home}/o" in result.what
    assert "does not start" in result.why
    assert "chmod" in result.fix


def test_a_store_s_disk_that_is_not_local_is_refused_or_a_warning(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.guards, "filesystem_type", lambda _path: "nfs4")
    refused = only(checks.run("store place", lambda: service.check_place(config)))
    assert refused.status == "fail"
    store = dataclasses.replace(config.store, allow_network_filesystem=True)
    allowed = only(service.check_place(dataclasses.replace(config, store=store)))
    assert allowed.status == "warn"
    assert "only this host" in allowed.why


@pytest.mark.parametrize(
    ("free", "state"),
    [
        (service.FREE_WARN, "ok"), (service.FREE_WARN - 4096, "warn"),
        (service.FREE_FAIL, "warn"), (service.FREE_FAIL - 4096, "fail"),
    ],
)  # fmt: skip
def test_room_is_enough_little_or_none(
    config: Config, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    found = SimpleNamespace(f_bavail=free // 4096, f_frsize=4096)
    monkeypatch.setattr(service.os, "statvfs", lambda _path: found)
    assert only(service.check_place(config)).status == state


def test_a_log_that_cannot_be_written_says_what_is_in_the_way(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "logs" / "khive.log"
    log = dataclasses.replace(config.log, file=str(file))
    config = dataclasses.replace(config, log=log)
    assert only(service.check_log(config)) == Check("log", "ok", str(file))
    asked: list[str] = []

    def read_only(path: str, _mode: int) -> bool:
        asked.append(path)
        return False

    monkeypatch.setattr(service.os, "access", read_only)
    assert only(service.check_log(config)).why == f"{tmp_path} is read-only."
    file.parent.mkdir()
    file.touch()
    result = only(service.check_log(config))
    assert (result.status, result.why) == ("fail", f"{file} is read-only.")
    assert asked == [str(tmp_path), str(file)]


def test_another_user_s_directory_is_no_place_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir(0o700)
    monkeypatch.setattr(service.os, "getuid", lambda: os.geteuid() + 1)
    result = only(service.check_socket(str(tmp_path / "run" / "s")))
    if os.geteuid() == 0:  # what belongs to root is as good as ours
        assert result.status == "ok"
    else:
        assert (result.status, "KHIVE_SOCKET" in result.fix) == ("fail", True)


@pytest.mark.parametrize(("mode", "state"), [(0o755, "ok"), (0o1777, "ok"), (0o775, "fail")])
def test_a_socket_s_directory_is_not_for_others_to_change(
    tmp_path: Path, mode: int, state: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    assert only(service.check_socket(str(tmp_path / "run" / "s"))).status == state


# --- the store ------------------------------------------------------------------------------------


def test_a_store_of_another_schema_is_told_and_left_alone(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(config).close()
    before = Path(config.store.path).read_bytes()
    monkeypatch.setattr(service.migrations, "NEWEST", service.migrations.NEWEST + 1)
    result = only(service.check_store(config, True))
    assert result.status == "ok"
    assert f"the next start brings it to {service.migrations.NEWEST}" in result.what
    assert Path(config.store.path).read_bytes() == before


def test_a_store_of_a_later_release_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(config).close()
    monkeypatch.setattr(service.migrations, "NEWEST", service.migrations.NEWEST - 1)
    with pytest.raises(StoreRefused):
        list(service.check_store(config, False))


def named(results: Iterable[Check], name: str) -> Check:
    return only(result for result in results if result.name == name)


def test_a_chain_that_is_broken_is_a_failure_with_what_it_can_mean(config: Config) -> None:
    with open_store(config) as store:
        store.audit.record("task.done", "task/t1", {})
        entries, rows = list(store.audit.entries()), list(store.audit.stored())
    assert named(service.check_store(config, True), "audit").status == "ok"

    class Changed:
        """An audit whose last entry is not as it was written."""

        def origins(self) -> list[str]:
            return [""]

        def chain(self, _origin: str) -> Any:
            return self

        def head(self) -> Any:
            return SimpleNamespace(seq=len(entries))

        def stored(self, after: int | None = None) -> Any:
            assert after is None
            number, at, kind, _actor, *rest = rows[-1]
            return iter([*rows[:-1], (number, at, kind, b"eve", *rest)])

        def entries(self, after: int | None = None) -> Any:
            whole = [*entries[:-1], dataclasses.replace(entries[-1], actor="eve")]
            return iter([one for one in whole if after is None or one.seq > after])

    store_like: Any = SimpleNamespace(audit=Changed())
    result = only(service._audit(config, store_like, True))
    assert (result.status, "docs/audit.md" in result.fix) == ("fail", True)


def test_a_store_that_records_nothing_is_a_warning(tmp_path: Path) -> None:
    config = from_dict({"store": {"path": str(tmp_path / "k.db")}, "audit": {"enabled": False}})
    open_store(config).close()
    result = named(service.check_store(config, False), "audit")
    assert (result.status, result.why) == ("warn", "audit.enabled is off.")


def test_pages_that_are_damaged_are_a_failure() -> None:
    store: Any = SimpleNamespace(quick_check=lambda: [f"page {n}" for n in range(9)])
    result = only(service._deep(store))
    assert (result.status, result.fix) == ("fail", "Restore a backup.")
    assert result.why == "page 0 page 1 page 2 page 3 page 4"


# --- the project ----------------------------------------------------------------------------------


def test_what_a_project_says_is_told_with_what_is_not_taken(home: Path) -> None:
    shop = home / "shop"
    (shop / ".git").mkdir(parents=True)
    (shop / FILE_NAME).write_text('[store]\npath = "/elsewhere"\n')
    found = load(None, str(shop), {})
    refused, project = check_project(found, str(shop), [])
    assert (refused.status, "store" in refused.what) == ("warn", True)
    assert (project.status, str(shop) in project.what) == ("ok", True)


def test_outside_of_projects_nothing_is_said_of_one(tmp_path: Path) -> None:
    found = load(None, "/", {})
    assert list(check_project(found, "/", [])) == []


# --- this machine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soft", "hard", "state", "fix"),
    [
        (1024, 1024, "ok", ""),
        (1023, 4096, "warn", "Run `ulimit -n 1024` before `start`."),
        (1023, 1023, "warn", "Ask for a higher limit."),
        (checks.resource.RLIM_INFINITY, 5, "ok", ""),
        (256, checks.resource.RLIM_INFINITY, "warn", "Run `ulimit -n 1024` before `start`."),
    ],
)
def test_few_open_files_are_a_warning_with_what_can_be_done(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, state: str, fix: str
) -> None:
    monkeypatch.setattr(checks.resource, "getrlimit", lambda _which: (soft, hard))
    result = only(checks.check_open_files())
    assert (result.status, result.fix) == (state, fix)


@pytest.mark.parametrize(
    ("code", "stderr", "said"),
    [
        (-4, b"", "compiled for another CPU"),
        (-11, b"x", "Killed by SIGSEGV."),
        (1, b"Traceback\n  ...\nImportError: no\n", "ImportError: no"),
        (3, b"", "Exit code 3."),
        (3, b"\xff\n", "\ufffd"),
    ],
)
def test_how_a_child_ended_is_said_in_a_line(code: int, stderr: bytes, said: str) -> None:
    assert said in checks._ended(code, stderr)


def test_a_child_that_does_not_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHILD_DEADLINE", 0.0)
    result = only(checks._in_child("annoy", "It works", "while True: pass", "Build it again."))
    assert (result.status, result.what) == ("fail", "Not so: It works")
    assert (result.why, result.fix) == ("No end after 0 s.", "Build it again.")


def test_a_library_without_full_text_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import apsw

    monkeypatch.setattr(apsw, "compile_options", ())
    result = only(checks.check_sqlite())
    assert (result.status, "pip install" in result.fix) == ("fail", True)


# --- how it is shown ------------------------------------------------------------------------------


def test_results_are_lines_with_what_to_do_below_those_that_are_not_well() -> None:
    results = [
        Check("python", "ok", "fine", fix="nothing"),
        Check("store place", "warn", "little room", "Writes fail.", "Make room.\n[store]\npath"),
        Check("log", "fail", "read-only", "It is."),
    ]
    lines = doctor._render([dataclasses.asdict(one) for one in results]).splitlines()
    assert lines == [
        "ok    python       fine",
        "warn  store place  little room",
        "                   Writes fail.",
        "                   -> Make room.",
        "                      [store]",
        "                      path",
        "fail  log          read-only",
        "                   It is.",
        "",
        "1 ok, 1 warning, 1 failure.",
    ]
