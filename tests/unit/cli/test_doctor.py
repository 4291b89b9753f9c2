from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli.clients import clients
from khive_supervisor.cli.clients.clients import CLIENTS, ENVIRONMENT
from khive_supervisor.cli.doctor import checks, service
from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.cli.doctor.doctor import doctor
from khive_supervisor.config.load import from_dict, load
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.config.settings.service import AgentSettings
from khive_supervisor.control import protocol
from khive_supervisor.embed.bundled import MODEL_DIRECTORY
from khive_supervisor.embed.names import model_id_of
from khive_supervisor.errors import StoreRefused, VersionMismatch
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.model import NewEntry
from khive_supervisor.store.vectors import Generation


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (*ENVIRONMENT, "KHIVE_NAMESPACE", "KHIVE_LOG_LEVEL", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return from_dict({"store": {"path": str(tmp_path / "data/k.db")}})


def only(results: Iterable[Check]) -> Check:
    (result,) = results
    return result


def statuses(results: Iterable[Check]) -> dict[str, str]:
    return {result.name: result.status for result in results}


@pytest.mark.parametrize("name", ["config.toml", "khive.yaml", "khive.yml", "khive .toml"])
def test_a_file_that_nobody_reads_is_named(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home/.config/khive"
    (home / "capabilities").mkdir(parents=True)
    assert statuses(service.check_configuration(load())) == {"configuration": "ok"}
    (home / name).write_text("[log]\n")
    (home / "khive.toml").write_text("[log]\nlevel = 'info'\n")
    (home / "khive.toml~").write_text("")
    _, told = service.check_configuration(load())
    assert (told.status, told.what) == ("warn", f"{home / name} is not read")


def test_what_a_check_raises_is_a_result() -> None:
    def refused() -> Iterable[Check]:
        raise StoreRefused("no", hint="do")

    def broken() -> Iterable[Check]:
        yield Check("x", "ok", "seen")
        raise ZeroDivisionError("oh")

    assert checks.run("x", refused) == [Check("x", "fail", "no", fix="do")]
    assert only(checks.run("x", broken)).why == "ZeroDivisionError: oh"


def test_this_installation_is_well() -> None:
    for check in (checks.check_python, checks.check_sqlite, checks.check_annoy):
        assert only(check()).status == "ok"


def test_a_library_for_another_cpu_is_named_as_such() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    result = only(checks._in_child("annoy", "it works", code, "reinstall"))
    assert (result.status, result.fix) == ("fail", "reinstall")
    assert "another CPU" in result.why


def test_a_child_that_fails_says_its_last_line() -> None:
    result = only(checks._in_child("x", "it works", "raise ImportError('gone')", ""))
    assert result.why == "ImportError: gone"


def test_a_damaged_model_is_found(tmp_path: Path) -> None:
    assert only(checks.check_model_files()).status == "ok"
    copy = tmp_path / "model"
    shutil.copytree(MODEL_DIRECTORY, copy)
    with (copy / "vocab.txt").open("a") as file:
        file.write("x")
    result = only(checks.check_model_files(copy))
    assert result.status == "fail"
    assert "vocab.txt" in result.what


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.resource, "getrlimit", lambda _: (256, 4096))
    result = only(checks.check_open_files())
    assert (result.status, "ulimit" in result.fix) == ("warn", True)


def test_inotify_instances_are_counted(tmp_path: Path) -> None:
    limits, processes = tmp_path / "inotify", tmp_path / "proc"
    descriptors = processes / "12/fd"
    descriptors.mkdir(parents=True)
    (processes / "self").mkdir()
    (descriptors / "3").symlink_to("anon_inode:inotify")
    (descriptors / "4").symlink_to("/dev/null")
    limits.mkdir()
    (limits / "max_user_instances").write_text("2\n")
    result = only(checks.check_inotify(str(limits), str(processes)))
    assert result.status == "warn"
    assert result.what.startswith("1 of 2")
    assert list(checks.check_inotify(str(tmp_path / "none"), str(processes))) == []


def test_a_program_that_is_not_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(checks.check_path()).status == "warn"


def test_a_place_without_room(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(service.check_place(config)).status == "ok"
    for free, status in ((500 << 20, "warn"), (1 << 20, "fail")):
        found = SimpleNamespace(f_bavail=free // 512, f_frsize=512)
        monkeypatch.setattr(service.os, "statvfs", lambda _, found=found: found)
        assert only(service.check_place(config)).status == status


def test_a_store_that_is_not_there_is_not_made(config: Config) -> None:
    assert "first start" in only(service.check_store(config, True)).what
    assert not os.path.exists(os.path.dirname(config.store.path))


def test_a_store_is_looked_into(config: Config) -> None:
    store = open_store(config)
    store.entries.add([NewEntry("memory", "default", "episodic", "", "a text")])
    store.close()
    results = list(service.check_store(config, True))
    assert statuses(results) == {
        "store": "ok",
        "store contents": "ok",
        "index": "ok",
        "audit": "ok",
    }
    assert "1 memory" in results[0].what
    os.chmod(config.store.path, 0o644)
    assert next(iter(service.check_store(config, False))).status == "warn"


def test_a_foreign_file_is_left_alone(config: Config) -> None:
    path = Path(config.store.path)
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be taken for one" * 100)
    result = only(checks.run("store", lambda: service.check_store(config, False)))
    assert result.status == "fail"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_older_store_is_not_migrated(config: Config) -> None:
    open_store(config).close()
    data = bytearray(Path(config.store.path).read_bytes())
    before = int.from_bytes(data[60:64], "big")
    assert before == service.migrations.NEWEST
    assert service.schema_of(config.store.path) == before


def test_a_missing_generation_is_found(config: Config) -> None:
    model = model_id_of(config.embedder)
    assert model is not None
    store = open_store(config)
    store.generations.publish(
        Generation(1, model, "1.ann", "0" * 64, "0" * 32, 8, 384, "dot", 1, 1, 1, 1, False, 0.0)
    )
    store.close()
    assert statuses(service.check_store(config, False)) == {
        "store": "ok",
        "index": "fail",
        "audit": "ok",
    }


def test_an_endpoint_without_its_key_and_in_plain_text() -> None:
    settings = EmbedderSettings(
        kind="openai", url="http://far/v1", model="m", dimensions=3, api_key_env="KEY"
    )
    assert [r.status for r in service.check_embedder(settings, {})] == ["warn", "warn", "ok"]
    near = dataclasses.replace(settings, url="http://127.0.0.1:1/v1")
    assert only(service.check_embedder(near, {"KEY": "x"})).status == "ok"


def test_the_socket_must_be_ours_alone(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    path = str(directory / "s.sock")
    assert only(service.check_socket(path)).status == "ok"
    assert not directory.exists()
    directory.mkdir(0o700)
    assert only(service.check_socket(path)).status == "ok"
    directory.chmod(0o777)
    assert only(service.check_socket(path)).fix == f"chmod go-w {directory}"
    result = only(checks.run("socket", lambda: service.check_socket(f"/{'x' * 200}")))
    assert result.status == "fail"


@contextmanager
def answering(path: Path, answer: dict[str, Any]) -> Iterator[None]:
    """Something at a control socket that gives one client one answer to all that it asks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            conn, _ = listener.accept()
            # It may have heard enough before it has asked.
            with protocol.Connection(conn) as connection, suppress(ConnectionError):
                connection.receive()
                while request := connection.receive():
                    connection.send({"id": request["id"], **answer})

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def status_with(state: str, **more: Any) -> dict[str, Any]:
    children = [{"name": "embedder", "state": state}]
    status = {"pid": 1, "version": __version__, "state": "x", "children": children, "log": "/l"}
    return {"result": {**status, **more}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"version": "0.1.0"}, "0.1.0 of None runs"),
        (
            {"upgrade": {"policy": "ask", "state": "offered", "release": "9", "problem": "x"}},
            "9 is installed",
        ),
    ],
)
def test_another_release_is_named(
    more: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with answering(Path("s.sock"), status_with("ready", **more)):
        _, release = service.check_supervisor("s.sock")
    assert release.status == "warn"
    assert said in release.what
    assert "khive-supervisor upgrade" in release.fix


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (status_with("ready"), "ok"),
        (status_with("backoff"), "fail"),
        ({"error": VersionMismatch("other").as_dict()}, "fail"),
    ],
)
def test_a_supervisor_is_asked(
    answer: dict[str, Any], status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with answering(Path("s.sock"), answer):
        assert only(service.check_supervisor("s.sock")).status == status


def test_no_supervisor_is_no_failure(tmp_path: Path) -> None:
    assert only(service.check_supervisor(str(tmp_path / "s"))).status == "ok"


def test_no_client_is_a_warning(tmp_path: Path) -> None:
    assert only(service.check_clients(str(tmp_path), os.environ)).status == "warn"


def test_the_entries_of_clients_are_looked_at(tmp_path: Path) -> None:
    program = tmp_path / "khive-supervisor"
    program.write_text("")
    program.chmod(0o755)
    entries: dict[str, dict[str, Any]] = {
        "claude-code": {"command": str(program)},
        "codex": {"command": "/gone/khive-supervisor"},
        "cursor": {"command": "other"},
        "gemini": {"command": str(program), "disabled": True},
    }
    for name, entry in entries.items():
        client = CLIENTS[name]
        file = Path(clients.configuration_file(client, None, os.environ))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(clients.snippet(client, entry))
    vscode = Path(clients.configuration_file(CLIENTS["vscode"], None, os.environ))
    vscode.parent.mkdir(parents=True)
    vscode.write_text("{ // comment\n")
    assert statuses(service.check_clients(str(tmp_path), os.environ)) == {
        "client claude-code": "ok",
        "client codex": "fail",
        "client cursor": "warn",
        "client gemini": "warn",
        "client vscode": "warn",
    }


@pytest.fixture
def short_socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A socket path that fits whatever the test's directory is called."""
    with tempfile.TemporaryDirectory(prefix="kh") as directory:
        monkeypatch.setenv("KHIVE_SOCKET", directory + "/s")
        yield


@pytest.mark.usefixtures("short_socket")
def test_a_healthy_user_has_exit_code_0(tmp_path: Path) -> None:
    result = CliRunner().invoke(doctor, ["--json"], catch_exceptions=False)
    assert result.exit_code == exitcodes.OK
    found = {entry["name"]: entry["status"] for entry in json.loads(result.stdout)}
    assert found["configuration"] == found["model"] == found["annoy"] == "ok"
    assert not (tmp_path / "home").exists()


def write_user_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "home/.config/khive/khive.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)


@pytest.mark.usefixtures("short_socket")
def test_the_last_line_counts_as_people_do(tmp_path: Path) -> None:
    write_user_file(tmp_path, "[store]\nx = 1\n")
    result = CliRunner().invoke(doctor, [], catch_exceptions=False)
    assert result.stdout.splitlines()[-1].endswith(", 1 failure.")


@pytest.mark.usefixtures("short_socket")
def test_an_invalid_configuration_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_user_file(tmp_path, "[store]\nx = 1\ny = 2\n")
    result = CliRunner().invoke(doctor, [], catch_exceptions=False)
    assert result.exit_code == exitcodes.UNHEALTHY
    assert result.stdout.count("fail  ") == 2
    assert "khive.toml:2: store.x" in result.stdout
    assert "supervisor" in result.stdout


def test_the_configuration_says_where_it_is_from(tmp_path: Path) -> None:
    found = load(None, str(tmp_path), {"KHIVE_NAMESPACE": "n"})
    assert "1 setting not as by default" in only(service.check_configuration(found)).what


def test_a_broken_capability_is_a_warning(config: Config, tmp_path: Path) -> None:
    agents = AgentSettings(capabilities=str(tmp_path))
    config = dataclasses.replace(config, agents=agents)
    assert only(service.check_capabilities(config)).what == "3 can be enabled"
    (tmp_path / "mine.toml").write_text("role = 3\n")
    broken, rest = service.check_capabilities(config)
    assert (broken.status, broken.what) == ("warn", "mine is broken")
    assert broken.why.startswith(f"{tmp_path}/mine.toml:1: role: found 3; allowed")
    assert rest.what == "3 can be enabled"
