"""Record a terminal session as SVG: real commands in a HOME of their own, drawn as they print.

`SCRIPT` says what is typed. `read` and `draw` are pure: what a terminal gets, to lines of coloured
text, to a picture that shows one step after another and stays at the end.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from html import escape
from pathlib import Path

COLUMNS, ROWS = 92, 40
#: Pixels of one character, of one line, and around all of it.
WIDE, HIGH, EDGE, BAR = 8.0, 19, 16, 30
#: Seconds that the picture waits before what is typed and before its answer.
BEFORE, ANSWER = 0.9, 0.5
COLOURS = {"1;32": "#98c379", "32": "#98c379", "33": "#e5c07b", "31": "#e06c75", "2": "#7f848e"}
TEXT, GREY, GROUND, TYPED = "#c8ccd4", "#7f848e", "#1e2127", "#ffffff"
#: Without animations, or for who wants none, all is there at once.
STYLE = """
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}
g{animation:show .2s backwards}
@keyframes show{from{opacity:0}}
@media(prefers-reduced-motion){g{animation:none}}
"""

FACT = "Releases are cut on Thursdays, because the support desk is fully staffed on Fridays."
QUESTION = "Which weekday do we ship a new version?"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is typed: as lines of a screen, and as words; `kill` takes the processes'."""

    shown: tuple[str, ...]
    words: tuple[str, ...] = ()


SCRIPT = (
    Step(("# one session remembers a fact; nothing was started before",)),
    Step(
        ("$ khive-supervisor remember --tag release \\", f'    "{FACT}"'),
        ("khive-supervisor", "remember", "--tag", "release", FACT),
    ),
    Step(("# any other session finds it, asked in other words",)),
    Step(
        (f'$ khive-supervisor recall "{QUESTION}"',),
        ("khive-supervisor", "recall", QUESTION),
    ),
    Step(
        ("$ khive-supervisor feedback m1 useful",),
        ("khive-supervisor", "feedback", "m1", "useful"),
    ),
    Step(("# the supervisor and both of its children die at once",)),
    Step(("$ kill -9 {pids}",), ("kill",)),
    Step(
        (f'$ khive-supervisor recall "{QUESTION}"',),
        ("khive-supervisor", "recall", QUESTION),
    ),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Text of one colour, from a column on."""

    column: int
    text: str
    colour: str


def read(output: str, columns: int = COLUMNS) -> list[list[Span]]:
    """Return the lines that a terminal shows of an output: wrapped, in its colours."""
    lines: list[list[Span]] = []
    colour = TEXT
    for line in output.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        lines.append([])
        column = 0
        for part in re.split(r"(\x1b\[[\d;]*m)", line):
            if part.startswith("\x1b"):
                colour = COLOURS.get(part[2:-1], TEXT)
                continue
            rest = part
            while rest:
                if column == columns:
                    lines.append([])
                    column = 0
                piece, rest = rest[: columns - column], rest[columns - column :]
                lines[-1].append(Span(column, piece, colour))
                column += len(piece)
    return lines


def typed(line: str) -> list[Span]:
    """Return a line as it is typed: a comment, or a command after its prompt."""
    if line.startswith("#"):
        return [Span(0, line, GREY)]
    if line.startswith("$ "):
        return [Span(0, "$", COLOURS["32"]), Span(2, line[2:], TYPED)]
    return [Span(0, line, TYPED)]


def draw(steps: list[tuple[list[list[Span]], float]], title: str) -> str:
    """Return a picture of groups of lines; each is shown from its second on, and stays."""
    total = sum(len(lines) for lines, _ in steps)
    width, height = COLUMNS * WIDE + 2 * EDGE, BAR + total * HIGH + 2 * EDGE
    size = f'width="{width:g}" height="{height}"'
    about = f'viewBox="0 0 {width:g} {height}" role="img" aria-label="{escape(title)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" {size} {about}>',
        f"<style>{STYLE}</style>",
        f'<rect {size} rx="8" fill="{GROUND}"/>',
        f'<text x="{EDGE}" y="{BAR - 8}" fill="{GREY}">{escape(title)}</text>',
    ]
    y = BAR + EDGE + HIGH // 2
    for lines, second in steps:
        parts.append(f'<g style="animation-delay:{second:.1f}s">')
        for line in lines:
            parts += [_text(span, y) for span in line if span.text.strip()]
            y += HIGH
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _text(span: Span, y: int) -> str:
    text = span.text.strip()
    x = EDGE + (span.column + span.text.index(text)) * WIDE
    return (
        f'<text x="{x:g}" y="{y}" fill="{span.colour}" textLength="{len(text) * WIDE:g}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(text, quote=False)}</text>'
    )


class Terminal:
    """Runs commands in a terminal of their own, with a HOME of their own."""

    def __init__(self, home: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "TZ")}
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        self.environ = {**kept, "HOME": home, "PATH": path, "TERM": "xterm-256color"}
        self.home = home

    def run(self, words: tuple[str, ...]) -> str:
        """Return what a command prints on a terminal; fails if the command does."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = subprocess.Popen(
            words, stdin=follower, stdout=follower, stderr=follower, env=self.environ, cwd=self.home
        )
        os.close(follower)
        output = b""
        try:
            while data := os.read(leader, 1 << 16):
                output += data
        except OSError:  # how Linux says that nobody has the other end any more
            pass
        os.close(leader)
        text = output.decode()
        assert process.wait() == 0, (words, text)
        return text

    def processes(self) -> list[int]:
        """Return the supervisor's process and those of its children."""
        done = subprocess.run(
            ["khive-supervisor", "status", "--json"],
            env=self.environ,
            stdout=subprocess.PIPE,
            check=True,
        )
        status = json.loads(done.stdout)
        return [status["pid"], *(child["pid"] for child in status["children"] if child["pid"])]


def record(terminal: Terminal) -> list[tuple[list[list[Span]], float]]:
    """Return what is typed and answered, as groups of lines with the second that each appears."""
    found: list[tuple[list[list[Span]], float]] = []
    second = 0.0
    for step in SCRIPT:
        lines = step.shown
        output = ""
        if step.words == ("kill",):
            pids = terminal.processes()
            lines = tuple(line.format(pids=" ".join(map(str, pids))) for line in lines)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        elif step.words:
            output = terminal.run(step.words)
        second += BEFORE
        found.append(([typed(line) for line in lines], second))
        if output:
            second += ANSWER
            found.append((read(output), second))
        if step.words:  # room before what comes next
            second += BEFORE
            found[-1][0].append([])
    return found


def main(file: str) -> None:
    """Record, draw, and stop everything."""
    with tempfile.TemporaryDirectory(prefix="k") as home:
        terminal = Terminal(home)
        try:
            steps = record(terminal)
        finally:
            terminal.run(("khive-supervisor", "stop", "--sessions"))
    Path(file).write_text(draw(steps, "khive-supervisor: one memory, many sessions"))
    print(f"Recorded: {file}")


if __name__ == "__main__":
    main(sys.argv[1])
