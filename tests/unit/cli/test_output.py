from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from khive_supervisor import exitcodes
from khive_supervisor.cli.render import output, terminal
from khive_supervisor.errors import ConfigError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_result_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"a": "ä"}, False, lambda data: data["a"])
    output.emit({"a": "ä"}, True, lambda data: data["a"])
    output.emit({}, False, lambda _: "")
    text, _, rest = capsys.readouterr().out.partition("\n")
    assert (text, json.loads(rest)) == ("ä", {"a": "ä"})


def test_an_error_says_what_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        output.fail(ConfigError(["f:1: a: b"], hint="mend it"))
    assert caught.value.code == exitcodes.CONFIG
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == (
        "error: The configuration has 1 problem:\n  - f:1: a: b\nwhat to do: mend it\n"
    )
    output.print_error(ConfigError(["x"]), as_json=True)
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "config_invalid"


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.style("x", "red", io.StringIO()) == "x"
    styled = output.style("x\x1b[5m", "red", Terminal())
    assert terminal.printed(styled) == "\x1b[1;31mx\\x1b[5m\x1b[0m"
    monkeypatch.setenv("TERM", "dumb")
    assert output.style("x", "red", Terminal()) == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.style("x", "red", Terminal()) == "x"


def test_a_table_is_cut_to_the_screen_and_to_nothing_else() -> None:
    rows = [["a", "b" * 90], ["ccc\x1b[31m", "d\ne"]]
    lines = output.table(["one", "two"], rows, width=40).splitlines()
    assert max(len(line) for line in lines) == 40
    assert lines[0].split() == ["ONE", "TWO"]
    assert lines[2] == "ccc\\x1b[31m  d\\ne"
    assert "b" * 90 in output.table(["one", "two"], rows)


def test_one_thing_is_not_many() -> None:
    assert [output.counted(number, "failure") for number in range(3)] == [
        "0 failures",
        "1 failure",
        "2 failures",
    ]


def test_progress_is_silent_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with output.progress("Working", 2) as advance:
        advance(2)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with output.progress("Working", 2) as advance:
        advance(2)
    assert "Working" in terminal.getvalue()


def test_what_the_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.emit("ä\udc80", False, str)
    assert raw.getvalue() == b"\\xe4\\udc80\n"


def test_a_reader_that_left_ends_the_command_quietly() -> None:
    code = "from khive_supervisor.cli.render.output import emit; emit('x' * 1000000, False, str)"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        child = subprocess.run(
            [sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, check=False
        )
    assert (child.returncode, child.stderr) == (0, b"")
