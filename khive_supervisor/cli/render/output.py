"""How every command prints: one place for JSON, tables, progress, colour and errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO, TypeVar

import click

from khive_supervisor.cli.render.columns import fitted, wrapped
from khive_supervisor.cli.render.command_names import in_commands
from khive_supervisor.cli.render.readable import readable
from khive_supervisor.cli.render.terminal import (
    json_text,
    laid_out,
    one_line,
    printed,
    sequence,
    unguarded,
    write,
)
from khive_supervisor.errors import KhiveError
from khive_supervisor.text import wellformed

T = TypeVar("T")

#: The bold colours, as terminals name them.
_COLOURS = {"red": "1;31m", "green": "1;32m", "yellow": "1;33m"}
#: Columns of a terminal that does not say how many it has.
DEFAULT_WIDTH = 80


def emit(data: T, as_json: bool, render: Callable[[T], str], *, exact: bool = False) -> None:
    """Print a command's result: one JSON document, or what `render` makes of the same data.

    What is rendered is as people read it: see `readable`. `exact`: it is to be copied into a file,
    so no line is wrapped.
    """
    if as_json:
        exactly(as_json_text(data, indent=2))
    elif text := render(readable(data)):
        (exactly if exact else say)(text)


def as_json_text(data: Any, indent: int | None = None) -> str:
    """Data as JSON that is text, and that no terminal obeys."""
    return json_text(json.dumps(wellformed.data(data), ensure_ascii=False, indent=indent))


def say(text: str) -> None:
    """Print lines for people to stdout, wrapped between words where there is a screen."""
    exactly(_on_screen(text, sys.stdout))


def exactly(text: str) -> None:
    """Print lines to stdout as they are: for programs, or to be copied."""
    write(sys.stdout, printed(text + "\n"))


def print_error(error: KhiveError, as_json: bool = False) -> None:
    """Print an error to stderr: what happened and why, then what to do next."""
    if as_json:
        write(sys.stderr, printed(as_json_text({"error": error.as_dict()}) + "\n"))
        return
    lines = [style("error: ", "red", sys.stderr) + in_commands(error.message)]
    if error.hint:
        lines.append(style("what to do: ", "yellow", sys.stderr) + in_commands(error.hint))
    note("\n".join(lines))


def fail(error: KhiveError, as_json: bool = False) -> NoReturn:
    """Print an error and leave with its exit code."""
    print_error(error, as_json)
    raise SystemExit(error.exit_code)


def note(text: str) -> None:
    """Print a line for people to stderr, so that stdout stays what was asked for."""
    write(sys.stderr, printed(_on_screen(text, sys.stderr) + "\n"))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], width: int = 0) -> str:
    """Left-aligned columns, cut to the terminal's width.

    Control characters of foreign text are made visible so that they cannot act on the terminal.

    Args:
        headers: the columns' names.
        rows: as many cells each.
        width: columns of the screen; 0 asks the terminal. A pipe gets everything.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    names = [header.upper() for header in headers]
    return "\n".join(fitted([names, *cells], width or _screen_width(sys.stdout)))


def counted(count: int, noun: str) -> str:
    """A number of things, as people say it: 1 failure, 2 failures."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _on_screen(text: str, stream: TextIO | None) -> str:
    """A text with its lines wrapped, where it goes to a screen."""
    width = _screen_width(stream)
    return text if width is None else laid_out(text, lambda plain: wrapped(plain, width))


def _screen_width(stream: TextIO | None) -> int | None:
    """The columns of the screen that a stream writes to; None for a pipe or file.

    A pipe gets everything: programs set COLUMNS for what they start, and then read its lines.
    """
    if stream is None or not stream.isatty():
        return None
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def style(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Coloured text on a terminal; plain text elsewhere, with NO_COLOR, and on a dumb terminal."""
    if not _coloured(stream or sys.stdout):
        return text
    return f"{sequence(_COLOURS[colour])}{text}{sequence('0m')}"


def _coloured(stream: TextIO | None) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()


@contextmanager
def progress(label: str, length: int | None = None) -> Generator[Callable[[int], None], None, None]:
    """A progress bar on stderr for long work; nothing at all when stderr is not a terminal.

    Args:
        label: what is being done.
        length: how many steps there are; None when unknown.

    Yields:
        a function to call with the number of steps done since the last call.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _steps: None
        return
    with click.progressbar(
        length=length or 0,
        label=label,
        file=unguarded(sys.stderr),  # it draws with sequences of its own; the label is ours
        show_eta=length is not None,
        show_pos=length is None,
        color=_coloured(sys.stderr),
    ) as bar:
        yield bar.update


def as_json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The `--json` flag, spelt the same for every command (argument `as_json`)."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
