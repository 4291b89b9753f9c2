"""Attach: small, quick to start, and of one mind with the modules that it does not import."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.session.journal import Journal
from support import ROOT

from khive_supervisor import __version__
from khive_supervisor.attach import channel
from khive_supervisor.attach import command as attach
from khive_supervisor.config.settings.service import ENVIRONMENT_ALLOWED
from khive_supervisor.control import client, protocol
from khive_supervisor.host import holder, paths

#: What attach may load beside C modules: ours, and what the interpreter has loaded by then.
OWN = {
    "khive_supervisor",
    "khive_supervisor.attach",
    "khive_supervisor.attach.command",
    "khive_supervisor.host",
    "khive_supervisor.attach.channel",
    "khive_supervisor.exitcodes",
    "khive_supervisor.host.holder",
    "khive_supervisor.host.paths",
    "khive_supervisor.host.repository",
}
#: What `site` has loaded in every interpreter before anything of ours runs.
LOADED = {"os", "os.path", "posixpath", "genericpath", "stat", "abc", "_collections_abc"}

SHOW_MODULES = """
import sys
before = set(sys.modules)
import khive_supervisor.attach.command
new = set(sys.modules) - before
files = {n: getattr(sys.modules[n], "__file__", None) for n in new}
print(*sorted(n for n, f in files.items() if f is not None and f.endswith((".py", ".pyc"))))
"""


NOBODY = channel.StartTerms(None, [])


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
    assert set(done.stdout.split()) - LOADED == OWN


def test_attach_agrees_with_the_modules_that_it_does_not_import() -> None:
    assert channel.PROTOCOL == protocol.PROTOCOL
    assert channel.FORWARDED == ENVIRONMENT_ALLOWED


def test_the_hello_is_a_frame_as_the_protocol_encodes_it() -> None:
    with environment(KHIVE_ACTOR="me"):
        message = decoded(
            channel.hello(
                channel.StartTerms("/c.toml", [("KHIVE_STORE", 'a "b"')]),
                ("KHIVE_ACTOR", "KHIVE_MISSING_X"),
            )
        )
    assert message == decoded(
        protocol.hello(
            "attach",
            pid=os.getpid(),
            cwd=os.getcwd(),
            config="/c.toml",
            ignored=[["KHIVE_STORE", 'a "b"']],
            store=None,
            default_store=holder.default_store(),
            acks=True,
            env={"KHIVE_ACTOR": "me"},
        )
    )
    assert message["release"] == __version__
    assert decoded(channel.hello(NOBODY, ()))["config"] is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_the_hello(value: str) -> None:
    with environment(KHIVE_ACTOR=value):
        message = decoded(channel.hello(NOBODY, ("KHIVE_ACTOR",)))
    assert message["env"] == {"KHIVE_ACTOR": value}


def test_a_variable_that_is_not_text_still_crosses() -> None:
    with environment(KHIVE_ACTOR="\udcff"):
        assert decoded(channel.hello(NOBODY, ("KHIVE_ACTOR",)))["env"] == {"KHIVE_ACTOR": "\udcff"}


def test_attaches_are_counted_until_a_worker_has_answered() -> None:
    fd = os.memfd_create("test")
    journal = Journal(fd)
    assert channel.futile_attaches(fd) == 0
    channel.note_attach(fd)
    channel.note_attach(fd)
    assert channel.futile_attaches(fd) == 2
    journal = Journal(fd)
    journal.receive(1)
    assert channel.futile_attaches(fd) == 2
    journal.answer(1)
    assert channel.futile_attaches(fd) == 0
    os.close(fd)


def test_the_supervisor_s_own_allow_list_goes_before(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    assert channel.forwarded_names(path) == channel.FORWARDED
    Path(path + ".env").write_text("A_NAME\nOTHER\n")
    assert channel.forwarded_names(path) == ("A_NAME", "OTHER")
    Path(path + ".env").write_text("")
    assert channel.forwarded_names(path) == ()


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
    paths.make_private_directory(str(tmp_path / "there" / "a" / "b"))
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
