"""One supervisor for a store: whatever names the store, its sessions and commands find that one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import DEADLINE, Installation, RawSession, alive, installed, kill, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.host import holder

#: A way to mean the same store: the words and the environment of a client.
Way = Callable[[Installation], tuple[list[str], dict[str, str]]]


def by_option(khive: Installation) -> tuple[list[str], dict[str, str]]:
    file = khive.home / "other.toml"
    file.write_text("[search]\nmax_query_characters = 10000\n")
    return ["--config", str(file)], {}


def by_variable(khive: Installation) -> tuple[list[str], dict[str, str]]:
    words, _ = by_option(khive)
    return [], {"KHIVE_CONFIG": words[1]}


def by_store_path(khive: Installation) -> tuple[list[str], dict[str, str]]:
    file = khive.home / "named.toml"
    file.write_text(f'[store]\npath = "{khive.store}"\n')
    return ["--config", str(file)], {}


def by_store_variable(khive: Installation) -> tuple[list[str], dict[str, str]]:
    return [], {"KHIVE_STORE": str(khive.store)}


def by_link_to_the_file(khive: Installation) -> tuple[list[str], dict[str, str]]:
    link = khive.home / "link.db"
    link.symlink_to(khive.store)
    return [], {"KHIVE_STORE": str(link)}


def by_link_to_the_directory(khive: Installation) -> tuple[list[str], dict[str, str]]:
    link = khive.home / "data"
    link.symlink_to(khive.store.parent)
    return [], {"KHIVE_STORE": str(link / "khive.db")}


def by_another_socket(khive: Installation) -> tuple[list[str], dict[str, str]]:
    return [], {"KHIVE_SOCKET": str(khive.home / "r" / "o.sock")}


def by_all_at_once(khive: Installation) -> tuple[list[str], dict[str, str]]:
    words, _ = by_option(khive)
    _, store = by_link_to_the_file(khive)
    _, socket = by_another_socket(khive)
    return words, {**store, **socket}


WAYS = [
    by_option,
    by_variable,
    by_store_path,
    by_store_variable,
    by_link_to_the_file,
    by_link_to_the_directory,
    by_another_socket,
    by_all_at_once,
]
#: Those that find the holder in ways of their own; the others are left out of a quick run.
TELLING = (by_option, by_store_variable, by_link_to_the_file, by_all_at_once)
SOME_AND_LONG = [
    way if way in TELLING else pytest.param(way, marks=pytest.mark.long) for way in WAYS
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("k") / "h") as khive:
        khive.start()
        yield khive


@pytest.mark.parametrize("way", SOME_AND_LONG, ids=lambda way: way.__name__)
def test_a_session_and_a_command_of_every_way_find_the_holder(
    running: Installation, way: Way
) -> None:
    for file in running.home.iterdir():
        if file.is_symlink():
            file.unlink()
    words, environment = way(running)
    pid = running.status()["pid"]
    before = running.events("supervisor.started")
    with RawSession(running, *words, **environment) as session:
        session.initialize()
        stored = session.tool("memory_remember", content=f"Stored {way.__name__}.")
        assert not stored.get("isError"), stored
        assert running.json("status", *words, **environment)["pid"] == pid
        assert running.run("recall", "Stored", *words, **environment).stdout
        assert session.close() == 0
    assert running.events("supervisor.started") == before


def test_a_start_of_another_configuration_says_who_holds_the_store(running: Installation) -> None:
    words, environment = by_option(running)
    status = running.status()
    for how in ([], ["--background"]):
        done = running.run("start", *how, *words, code=exitcodes.ALREADY_RUNNING, **environment)
        assert f"pid {status['pid']}" in done.stderr
        assert status["socket"] in done.stderr
        assert "configuration none" in done.stderr
    again = running.run("start", "--background")
    assert again.stderr == "A supervisor is running already.\n"


def test_a_store_of_its_own_gets_a_supervisor_of_its_own(running: Installation) -> None:
    file = running.home / "apart.toml"
    file.write_text('[store]\npath = "apart.db"\n[embedder]\nkind = "none"\n')
    with RawSession(running, "--config", str(file)) as session:
        session.initialize()
        session.tool("memory_remember", content="Kept apart.")
        mine = running.json("status", "--config", str(file))
        assert mine["store"] == str(running.home / "apart.db")
        assert mine["pid"] != running.status()["pid"]
        assert session.close() == 0
    assert "Kept apart." not in json.dumps(running.json("recall", "apart"))
    running.run("stop", "--sessions", "--config", str(file))


def test_a_command_by_another_configuration_that_is_not_valid_says_so(
    running: Installation,
) -> None:
    file = running.home / "wrong.toml"
    file.write_text("[store]\nwrong = 1\n")
    done = running.run("recall", "x", "--config", str(file), code=exitcodes.CONFIG)
    assert f"{file}:2: store.wrong" in done.stderr


@pytest.mark.long
def test_an_invalid_configuration_of_its_own_is_served_by_what_is_in_force(
    khive: Installation,
) -> None:
    khive.configure("[session]\nnamespace = 'mine'\n")
    khive.start()
    khive.configure("[session]\nnamespace = \n")
    with RawSession(khive) as session:
        session.initialize()
        assert not session.tool("memory_remember", content="Served.").get("isError")
        assert session.close() == 0
    assert khive.run("status").returncode == 0
    khive.run("stop")
    assert khive.run("attach", code=exitcodes.CONFIG).stderr


# --- the holder does not answer ------------------------------------------------------------------

COMMANDS = [
    ("status",),
    ("recall", "x"),
    ("start", "--background"),
    pytest.param(("stop",), marks=pytest.mark.long),
    pytest.param(("reload",), marks=pytest.mark.long),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_names_a_supervisor_that_is_stopped(
    running: Installation, words: tuple[str, ...]
) -> None:
    pid = running.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = running.run(*words, code=exitcodes.UNRESPONSIVE)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f"pid {pid}" in done.stderr
    assert f"kill -CONT {pid}" in done.stderr
    assert f"kill -9 {pid}" in done.stderr


def test_doctor_names_it_too(running: Installation) -> None:
    pid = running.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = running.run("doctor", code=exitcodes.UNHEALTHY)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f"The supervisor (pid {pid})" in done.stdout
    assert f"kill -CONT {pid}" in " ".join(done.stdout.split())


def test_a_session_serves_itself_while_the_supervisor_is_stopped_and_comes_over(
    running: Installation,
) -> None:
    pid = running.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    with RawSession(running) as session:
        try:
            session.initialize()
            assert not session.tool("memory_remember", content="Alone.").get("isError")
        finally:
            os.kill(pid, signal.SIGCONT)
        attach = session.process.pid
        wait_until(
            lambda: any(s.get("client_pid") == attach for s in running.status()["sessions"]),
            "the session came over",
        )
        found = session.tool("memory_recall", query="Alone.")
        assert "Alone." in json.dumps(found)
        assert session.close() == 0


# --- who waits, and who does not any more --------------------------------------------------------


def test_a_start_ends_with_who_waits_for_it(khive: Installation) -> None:
    """The lifeline's end ends the start, and what it has started; the store is nobody's."""
    line, hold = os.pipe()
    os.close(hold)
    start = subprocess.Popen(
        [*khive.argv, "start", "--background", "--quiet", "--lifeline-fd", str(line)],
        env=khive.env,
        pass_fds=[line],
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(line)
    _, complaint = start.communicate(timeout=DEADLINE)
    assert start.returncode == exitcodes.NOT_RUNNING
    assert "Nobody waits for this start" in complaint
    wait_until(khive.gone, "nothing of the start is left")
    assert not holder.held(str(khive.store))


def test_an_attach_that_is_killed_while_it_starts_leaves_no_supervisor(
    khive: Installation,
) -> None:
    with RawSession(khive) as session:
        wait_until(lambda: len(khive.processes()) > 1, "a start has begun")
        kill(session.process.pid, signal.SIGTERM)
        session.process.wait(DEADLINE)
    # Either it had been ready by then, or it ends: never is it left half way.
    wait_until(lambda: khive.gone() or khive.status_or_none() is not None, "it is over either way")


@pytest.mark.long
def test_a_child_s_own_message_is_never_lost(khive: Installation) -> None:
    khive.store.parent.mkdir(parents=True)
    khive.store.write_bytes(b"not a database" * 1000)
    done = khive.run("attach", code=exitcodes.STORE_REFUSED)
    assert str(khive.store) in done.stderr
    assert not any(alive(pid) for pid in khive.processes())


# --- standard descriptors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "closed",
    [
        "<&-",
        "<&- >&- 2>&-",
        *(pytest.param(some, marks=pytest.mark.long) for some in (">&-", "2>&-", "<&- >&-")),
    ],
)
@pytest.mark.parametrize("words", ["attach", "status", "recall x", "--version"])
def test_closed_descriptors_harm_nobody(running: Installation, words: str, closed: str) -> None:
    command = " ".join([*running.argv, words])
    redirect = "" if "<&-" in closed else "</dev/null "
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {redirect}{closed}"],
        env=running.env,
        cwd=running.home,
        stdout=None if ">&-" in closed else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0
    wait_until(lambda: running.status()["sessions"] == [], "no worker is left")


def test_the_lock_names_its_holder(running: Installation) -> None:
    status = running.status()
    found = holder.of(str(running.store))
    assert found is not None
    assert (found.pid, found.socket, found.config) == (status["pid"], running.socket, None)
    assert found.release == status["version"]
    assert Path(holder.lock_path(str(running.store))).stat().st_mode & 0o777 == 0o600
