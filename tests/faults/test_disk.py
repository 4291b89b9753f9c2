"""No room, or no right, to write: a clear error to the agent, and all is well when it is over."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import Installation, RawSession, limited, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.errors import KhiveError

MIB = 1 << 20


@contextlib.contextmanager
def mounted(directory: Path, options: str) -> Iterator[bool]:
    """A small filesystem of its own at a directory; False where that is not permitted."""
    directory.mkdir(parents=True, exist_ok=True)
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if not (mount and unmount):
        yield False
        return
    argv = [mount, "-t", "tmpfs", "-o", options, "khive-test", str(directory)]
    able = subprocess.run(argv, capture_output=True).returncode == 0
    try:
        yield able
    finally:
        if able:
            subprocess.run([unmount, "--lazy", str(directory)], check=True)


def remember(session: RawSession, content: str) -> str:
    """Store something; the error's text, or nothing."""
    result = session.tool("memory_remember", content=content)
    return str(result["content"][0]["text"]) if result["isError"] else ""


def fill(session: RawSession) -> str:
    """Store until there is no room; the error."""
    for number in range(500):
        error = remember(session, f"{number} " + "the disk fills up " * 10_000)
        if error:
            return error
    raise AssertionError("there was room for 90 MB")


def check_full_and_recovery(khive: Installation, make_room: Callable[[], None]) -> None:
    """What a session is told while there is no room, and that it goes on when there is."""
    with RawSession(khive) as session:
        session.initialize()
        assert remember(session, "stored while there was room") == ""
        error = fill(session)
        assert "There is no room to write" in error
        assert "Make room and try again; nothing was changed" in error
        # Reading goes on, here and elsewhere; writing is refused again, and nothing is broken.
        found = session.tool("memory_recall", query="stored while there was room")
        assert found["structuredContent"]["results"][0]["content"] == "stored while there was room"
        assert "There is no room" in fill(session)
        with pytest.raises(KhiveError, match="no room") as caught:
            khive.call("memory.remember", content="the disk is full " * 15_000)
        assert caught.value.code == "store_unavailable"
        make_room()
        assert remember(session, "stored after there was room again " * 3000) == ""
        assert session.close() == 0
    before = khive.status()["pid"]
    assert khive.call("memory.recall", query="room again")["results"]
    assert khive.status()["pid"] == before


def test_a_limit_of_file_size_is_told_and_survived(khive: Installation) -> None:
    khive.argv = limited(khive.argv, "RLIMIT_FSIZE", 3 * MIB)
    khive.start()

    def make_room() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)

        def none_is_limited() -> bool:
            """Raise all limits; True if there were none: processes end and fork meanwhile."""
            found = False
            for pid in khive.processes():
                with contextlib.suppress(ProcessLookupError):
                    limit, _ = resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
                    found = found or limit != most
            return not found

        wait_until(none_is_limited, "no process is limited")

    check_full_and_recovery(khive, make_room)


def test_a_full_disk_is_told_and_survived(khive: Installation) -> None:
    with mounted(khive.store.parent, "size=24m,mode=0700") as able:
        if not able:
            return  # not permitted here; a limit of the file size does nearly the same above
        filler = khive.store.with_name("somebody else's file")
        khive.start()
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"\0" * 65536)
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - 4 * MIB)
        check_full_and_recovery(khive, filler.unlink)
        assert khive.call("index.build")["running"]
        wait_until(lambda: khive.status()["index"]["state"] == "in use", "an index is built", 60)
        khive.stop()


def test_a_builder_without_room_fails_cleanly_and_succeeds_later(khive: Installation) -> None:
    with mounted(khive.store.parent / "index", "size=64k,mode=0700") as able:
        if not able:
            return  # not permitted here
        khive.start()
        for start in range(0, 500, 250):
            khive.call(
                "knowledge.learn",
                entries=[{"content": f"entry {n}"} for n in range(start, start + 250)],
            )
        khive.call("index.build")
        wait_until(lambda: khive.status()["builder"]["failures"], "the builder fails")
        left = [p.name for p in (khive.store.parent / "index").iterdir()]
        assert [name for name in left if name.endswith(".ann")] == []
        assert khive.call("knowledge.search", query="entry 7")["results"]
        argv = ["mount", "-o", "remount,size=16m", str(khive.store.parent / "index")]
        subprocess.run(argv, check=True)
        wait_until(lambda: not khive.status()["builder"]["running"], "no builder runs")
        khive.call("index.build")
        wait_until(lambda: khive.status()["index"]["state"] == "in use", "an index is built")
        assert khive.call("knowledge.search", query="entry 7")["results"]
        khive.stop()


def unwritable(khive: Installation) -> Iterator[Path]:
    """Directories in which nothing can be made: for anybody, for root too, for others than root."""
    yield Path("/proc/khive")
    closed = khive.home / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):
        yield closed
        yield closed / "deeper"
    with mounted(khive.home / "readonly", "ro") as able:
        if able:
            yield khive.home / "readonly"


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(khive: Installation) -> None:
    for directory in unwritable(khive):
        for words in (("start",), ("start", "--background"), ("attach",), ("recall", "x")):
            done = khive.run(*words, code=None, KHIVE_STORE=str(directory / "khive.db"))
            # A session is served all the same: its calls are answered with what is wrong.
            allowed = (exitcodes.OK,) if words == ("attach",) else ()
            assert done.returncode in allowed or done.returncode not in (exitcodes.OK, -6, -9, -11)
            assert str(directory) in done.stderr
            assert "Traceback" not in done.stderr
        assert not os.path.exists(khive.socket)
        assert khive.gone()


def test_a_log_that_cannot_be_written_is_named(khive: Installation) -> None:
    khive.configure('[log]\nfile = "/proc/khive/khive.log"\n')
    for words in (("start",), ("start", "--background")):
        done = khive.run(*words, code=None)
        assert done.returncode == exitcodes.BOOT_FAILURE
        assert "/proc/khive" in done.stderr
        assert "Traceback" not in done.stderr
    assert not os.path.exists(khive.socket)
    assert khive.gone()


def test_a_directory_for_the_socket_that_cannot_be_made_is_named(khive: Installation) -> None:
    for words in (("start",), ("start", "--background")):
        done = khive.run(*words, code=None, KHIVE_SOCKET="/proc/khive/s.sock")
        assert done.returncode == exitcodes.BOOT_FAILURE
        assert "/proc/khive" in done.stderr
    # The session is served all the same, without a socket.
    attached = khive.run("attach", KHIVE_SOCKET="/proc/khive/s.sock")
    assert "Set KHIVE_SOCKET to another path" in attached.stderr
    assert "Traceback" not in attached.stderr
    assert attached.stderr
