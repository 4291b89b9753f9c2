"""What the README says in few words is what is measured, recorded and shipped."""

from __future__ import annotations

import re
import shlex
import xml.etree.ElementTree as ET

import click
import pytest
import record
from support import ROOT

from khive_supervisor.cli.main import cli

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "session.svg"
SVG = "{http://www.w3.org/2000/svg}"


def test_it_can_be_read_in_a_few_minutes() -> None:
    assert len(TEXT.splitlines()) <= 160


def test_its_three_numbers_are_measured() -> None:
    measured = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    numbers = re.findall(r"^- \*\*(.+?)\*\*", TEXT, re.MULTILINE)
    assert len(numbers) == 3
    assert [number for number in numbers if number not in measured] == []


def test_its_numbers_of_others_are_measured_too() -> None:
    measured = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    for number in ("523 ms", "6.9 s", "101 MB", "131 ms", "2.6 s"):
        assert number in measured
        assert number.split()[0] in TEXT


# --- the picture ----------------------------------------------------------------------------------


def drawn() -> list[str]:
    """Return the texts of the picture, in order."""
    root = ET.parse(PICTURE).getroot()  # our own file
    return [text.text or "" for group in root.iter(f"{SVG}g") for text in group.iter(f"{SVG}text")]


def test_the_picture_is_in_the_readme() -> None:
    assert f"(docs/{PICTURE.name})" in TEXT


@pytest.mark.parametrize("step", record.SCRIPT, ids=lambda step: step.shown[0][:30])
def test_all_that_is_typed_is_in_the_picture(step: record.Step) -> None:
    texts = drawn()
    for line in step.shown:
        shown = line.removeprefix("$ ").partition("{")[0].strip()
        assert any(text.startswith(shown) for text in texts), "run scripts/record"


@pytest.mark.parametrize(
    "words", [step.words for step in record.SCRIPT if len(step.words) > 1], ids=lambda w: w[1]
)
def test_what_is_typed_is_a_command(words: tuple[str, ...]) -> None:
    command = cli.commands[words[1]]
    context = click.Context(cli, **cli.context_settings)
    assert command.make_context(words[1], list(words[2:]), parent=context).params


def test_what_is_shown_is_what_is_run() -> None:
    for step in record.SCRIPT:
        if len(step.words) > 1:
            shown = " ".join(line.removesuffix("\\") for line in step.shown).removeprefix("$")
            assert tuple(shlex.split(shown)) == step.words


# --- drawing --------------------------------------------------------------------------------------


def test_colours_go_on_until_they_are_changed() -> None:
    first, second = record.read("\x1b[1;32mm1\x1b[0m  yes\r\n\x1b[31mno\r\n")
    green, red = record.COLOURS["1;32"], record.COLOURS["31"]
    assert first == [record.Span(0, "m1", green), record.Span(2, "  yes", record.TEXT)]
    assert second == [record.Span(0, "no", red)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [[]]),
        ("abcd", [["abcd"]]),
        ("abcde", [["abcd"], ["e"]]),
        ("abcdefghi", [["abcd"], ["efgh"], ["i"]]),
        ("a\x1b[31mbcde", [["a", "bcd"], ["e"]]),
        ("a\n\nb\n", [["a"], [], ["b"]]),
    ],
)
def test_lines_are_wrapped_as_a_terminal_does(text: str, lines: list[list[str]]) -> None:
    assert [[span.text for span in line] for line in record.read(text, 4)] == lines


def test_a_picture_is_valid_and_shows_one_step_after_another() -> None:
    steps = [([record.typed("$ a <b> & c")], 0.5), (record.read("  d  "), 1.0)]
    root = ET.fromstring(record.draw(steps, "a & b"))
    groups = root.findall(f"{SVG}g")
    assert [group.get("style") for group in groups] == [
        "animation-delay:0.5s", "animation-delay:1.0s",
    ]  # fmt: skip
    prompt, command, answer = (text for group in groups for text in group)
    assert (prompt.text, command.text, answer.text) == ("$", "a <b> & c", "d")
    assert float(answer.get("x", "")) == record.EDGE + 2 * record.WIDE
    assert float(answer.get("y", "")) - float(command.get("y", "")) == record.HIGH
