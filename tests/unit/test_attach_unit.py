"""Attach: small, quick to start, and of one mind with the modules that it does not import."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from khive_supervisor import __version__, attach, client, paths, protocol
from khive_supervisor.config.model import ENVIRONMENT_ALLOWED

#: What attach may load beside C modules: ours, and what the interpreter has loaded by then.
OWN = {
    "khive_supervisor",
    "khive_supervisor.attach",
    "khive_supervisor.exitcodes",
    "khive_supervisor.paths",
}

SHOW_MODULES = """
import sys
before = set(sys.modules)
import khive_supervisor.attach
new = set(sys.modules) - before
files = {n: getattr(sys.modules[n], "__file__", None) for n in new}
print(*sorted(n for n, f in files.items() if f is not None and f.endswith((".py", ".pyc"))))
"""


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Variables as attach reads them: `posix.environ`, which os.environ does not change."""
    own = {
        name.encode(): value.encode("utf-8", "surrogateescape") for name, value in values.items()
    }
    before = dict(paths.environ)
    paths.environ.update(own)
    try:
        yield
    finally:
        paths.environ.clear()
        paths.environ.update(before)


def decoded(frame: bytes) -> dict[str, object]:
    (message,) = protocol.FrameDecoder().feed(frame)
    return message


def test_attach_imports_nothing_that_is_slow() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})"
         + SHOW_MODULES],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == OWN


def test_attach_agrees_with_the_modules_that_it_does_not_import() -> None:
    assert attach.PROTOCOL == protocol.PROTOCOL
    assert attach.FORWARDED == ENVIRONMENT_ALLOWED


def test_the_hello_is_a_frame_as_the_protocol_encodes_it() -> None:
    with environment(KHIVE_ACTOR="me"):
        message = decoded(attach.Channel().hello("/c.toml", ("KHIVE_ACTOR", "KHIVE_MISSING_X")))
    assert message == decoded(
        protocol.hello(
            "attach",
            pid=os.getpid(),
            cwd=os.getcwd(),
            config="/c.toml",
            env={"KHIVE_ACTOR": "me"},
            state="",
            lost=[],
        )
    )
    assert message["release"] == __version__
    assert decoded(attach.Channel().hello(None, ()))["config"] is None


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    st.text(),
    st.lists(st.integers() | st.text(), unique_by=json.dumps),
)
def test_any_text_survives_the_hello(value: str, state: str, lost: list[int | str]) -> None:
    channel = attach.Channel()
    channel.take(b"S", json.dumps(state).encode())
    for identifier in lost:
        channel.take(b"I", json.dumps(identifier).encode())
    with environment(KHIVE_ACTOR=value):
        message = decoded(channel.hello(None, ("KHIVE_ACTOR",)))
    assert message["env"] == {"KHIVE_ACTOR": value}
    assert json.loads(str(message["state"])) == state
    assert [json.loads(item) for item in message["lost"]] == lost  # type: ignore[attr-defined]


def test_a_variable_that_is_not_text_still_crosses() -> None:
    with environment(KHIVE_ACTOR="\udcff"):
        assert decoded(attach.Channel().hello(None, ("KHIVE_ACTOR",)))["env"] == {
            "KHIVE_ACTOR": "\udcff"
        }


def test_a_call_in_flight_is_lost_until_somebody_has_answered_it() -> None:
    channel = attach.Channel()
    for number in (b"1", b"2"):
        channel.take(b"I", number)
    channel.take(b"D", b"1")
    assert decoded(channel.hello(None, ()))["lost"] == ["2"]
    # The worker that was told may die before it has answered: the next one is told again.
    assert decoded(channel.hello(None, ()))["lost"] == ["2"]
    channel.take(b"D", b"2")
    assert decoded(channel.hello(None, ()))["lost"] == []


@given(st.lists(st.integers(1, 9), max_size=30))
def test_records_are_read_in_any_chunking(sizes: list[int]) -> None:
    data = b"".join(
        kind + len(payload).to_bytes(4, "big") + payload
        for kind, payload in ((b"S", b"state"), (b"I", b"7"), (b"I", b'"x"'), (b"D", b"7"))
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    channel = attach.Channel()
    with ours, theirs:
        for size in sizes:
            theirs.sendall(data[:size])
            data = data[size:]
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        channel.follow(ours)  # type: ignore[arg-type]  # a subclass of _socket.socket
    assert channel.state == b"state"
    assert list(channel.open) == [b'"x"']


def test_the_supervisor_s_own_allow_list_goes_before(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    assert attach.forwarded_names(path) == attach.FORWARDED
    Path(path + ".env").write_text("A_NAME\nOTHER\n")
    assert attach.forwarded_names(path) == ("A_NAME", "OTHER")
    Path(path + ".env").write_text("")
    assert attach.forwarded_names(path) == ()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], None),
        (["--config", "f"], "f"),
        (["--config=f"], "f"),
        (["--config="], ""),
        (["--config"], None),
        (["--other", "f"], None),
    ],
)
def test_the_config_option(argv: list[str], expected: str | None) -> None:
    assert attach.argument(argv, "--config") == expected


def test_directories_are_made_for_the_owner_only_and_never_changed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    attach.make_directory(str(tmp_path / "there" / "a" / "b" / "s.sock"))
    modes = [(tmp_path / part).stat().st_mode & 0o777 for part in ("there", "there/a", "there/a/b")]
    assert modes == [0o755, 0o700, 0o700]


def test_the_longest_path_is_the_same_everywhere() -> None:
    client.check_socket_path("/" + "x" * (paths.SOCKET_PATH_LIMIT - 1))
    with pytest.raises(Exception, match="103 are allowed"):
        client.check_socket_path("/" + "x" * paths.SOCKET_PATH_LIMIT)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_it_is(flag: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "khive_supervisor", "attach", flag],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: attach" in done.stdout
    assert done.stderr == ""
