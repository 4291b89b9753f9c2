"""What reaches a terminal: nothing that was stored is obeyed, and output that is lost is said."""

from __future__ import annotations

import errno
import io
import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor import exitcodes
from khive_supervisor.cli.render import terminal
from khive_supervisor.cli.render.readable import readable

#: Characters that a terminal obeys, or that turn what follows them.
OBEYED = [chr(code) for code in (*range(32), *range(0x7F, 0xA0))] + list(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\u206f"
)


@pytest.mark.parametrize("character", [one for one in OBEYED if one not in "\n\t"], ids=ascii)
def test_what_a_terminal_obeys_is_shown_instead(character: str) -> None:
    shown = repr(character)[1:-1]
    assert terminal.visible(f"a{character}b") == f"a{shown}b"
    assert terminal.one_line(f"a{character}b") == f"a{shown}b"
    assert character not in terminal.printed(f"a{character}b")


def test_lines_and_tabs_stay_in_a_text_and_not_in_a_line() -> None:
    assert terminal.visible("a\n\tb\r\nc") == "a\n\tb\nc"
    assert terminal.one_line("a\n\tb\r\nc") == "a\\n\\tb\\r\\nc"
    assert terminal.one_line(12) == "12"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_means_the_same_and_holds_nothing_that_acts(text: str) -> None:
    written = terminal.json_text(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert not set(written) & set(OBEYED)


@given(st.text())
def test_only_our_own_sequences_are_obeyed(text: str) -> None:
    written = terminal.printed(f"{terminal.sequence('1;31m')}{text}{terminal.sequence('0m')}")
    assert written.startswith("\x1b[1;31m")
    assert written.endswith("\x1b[0m")
    assert "\x1b" not in written[7:-4]


def test_a_text_cannot_be_laid_out_so_that_it_has_our_sequences() -> None:
    text = f"{terminal.LAID_OUT}{terminal.sequence('0m')}"
    assert terminal.laid_out(text, str) == f"\ufffd{terminal.sequence('0m')}"


# --- writing --------------------------------------------------------------------------------------


class Failing(io.StringIO):
    """A stream whose reader or device is gone."""

    def __init__(self, error: OSError, descriptor: int) -> None:
        super().__init__()
        self._error, self._descriptor = error, descriptor

    def write(self, _text: str) -> int:
        raise self._error

    def fileno(self) -> int:
        return self._descriptor


@pytest.fixture
def descriptor(tmp_path: os.PathLike[str]) -> int:
    """A descriptor that a test may have replaced; closed with it."""
    return os.open(os.path.join(tmp_path, "out"), os.O_CREAT | os.O_WRONLY)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BrokenPipeError(), exitcodes.OK),
        (OSError(errno.ENOSPC, "No space left on device"), exitcodes.OUTPUT_LOST),
        (OSError("odd"), exitcodes.OUTPUT_LOST),
    ],
)
def test_output_that_cannot_be_written_ends_the_command(
    error: OSError, code: int, descriptor: int, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        with pytest.raises(SystemExit) as caught:
            terminal.write(Failing(error, descriptor), "x")
        assert os.readlink(f"/proc/self/fd/{descriptor}") == os.devnull
    finally:
        os.close(descriptor)
    assert caught.value.code == code
    said = capfd.readouterr().err
    if code == exitcodes.OK:
        assert said == ""
    else:
        assert said == f"error: The output cannot be written: {error.strerror or error}.\n"


def test_output_that_is_closed_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        terminal.write(None, "x")
    assert caught.value.code == exitcodes.OUTPUT_LOST
    assert "it is closed" in capfd.readouterr().err


def test_nobody_is_told_where_nobody_can_be(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as caught:
        terminal.write(None, "x")
    assert caught.value.code == exitcodes.OUTPUT_LOST
    assert capfd.readouterr().err == ""


# --- for whoever prints by itself -----------------------------------------------------------------


def test_what_others_print_is_guarded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    terminal.guard()
    print("a\x1b[2Jb")
    assert sys.stderr.write("\x07") == 1
    sys.stderr.flush()
    assert (out.getvalue(), err.getvalue()) == ("a\\x1b[2Jb\n", "\\x07")
    assert terminal.unguarded(sys.stdout) is out
    assert terminal.unguarded(out) is out
    assert not sys.stdout.isatty()
    assert sys.stdout.getvalue() == out.getvalue()  # type: ignore[attr-defined]  # what the stream has else


def test_a_closed_stream_is_no_terminal() -> None:
    assert not terminal.Guarded(None).isatty()


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["title", "client", "tags", "name", "line", "source"])
def test_what_is_one_line_has_no_line_of_somebody_s(field: str) -> None:
    assert readable({field: "a\nb"}) == {field: "a\\nb"}
    assert readable({field: ["a\nb"]}) == {field: ["a\\nb"]}


@pytest.mark.parametrize("field", ["content", "error", "errors", "log_tail", "text", "why"])
def test_a_text_keeps_its_lines(field: str) -> None:
    assert readable({field: "a\nb"}) == {field: "a\nb"}


@pytest.mark.parametrize("field", ["hint", "next", "note", "notes", "cut"])
def test_where_we_speak_verbs_are_commands(field: str) -> None:
    assert readable({field: "see memory.get"}) == {field: "see `khive-supervisor get`"}
    assert readable({"title": "see memory.get"}) == {"title": "see memory.get"}


@pytest.mark.parametrize("field", ["detail", "payload", "result"])
def test_somebody_s_data_is_shown_as_it_is(field: str) -> None:
    data = {"at": "2026-11-29T00:30:00Z", "title": "a\nb"}
    assert readable({field: data}) == {field: data}


def test_what_is_no_text_stays_and_tuples_are_lists() -> None:
    assert readable({"n": 1, "a": None, "b": (True, "x\n")}) == {
        "n": 1,
        "a": None,
        "b": [True, "x\\n"],
    }


def test_the_name_of_a_field_is_one_line() -> None:
    assert readable({"a\nb": {"title": "c"}}) == {"a\\nb": {"title": "c"}}
