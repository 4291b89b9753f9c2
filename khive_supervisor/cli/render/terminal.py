"""What reaches a terminal: text as it reads, and of control characters none but our own.

Everything that a command prints goes through here: `output` for what it knows to print, and
`Guarded` in the place of stdout and stderr for all else (click's messages, progress bars). Text
that was stored can hold anything, and a terminal obeys what it is sent.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from khive_supervisor import exitcodes

#: C0 but the ends of lines and tabs, DEL, C1, and what turns or ends a line in a way of its own.
_UNSAFE = "\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"
_CONTROL = re.compile(f"[{_UNSAFE}]")
_IN_LINE = re.compile(f"[{_UNSAFE}\n\t]")
#: The same in JSON, which has no C0 as it is.
_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")

#: Marks our own colours until they are written. Nobody can have stored it: it is made anew.
_MARK = f"\0{os.urandom(8).hex()}:"
_MARKED = re.compile(f"{_MARK}([0-9;?a-zA-Z]+)\1")


def visible(text: str) -> str:
    r"""A text whose control characters are shown (`\x1b`) instead of obeyed; lines stay lines."""
    return _CONTROL.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: object) -> str:
    """The same for what is one line whatever is in it: a title, a tag, the name of a file."""
    return _IN_LINE.sub(_escaped, str(text))


def json_text(text: str) -> str:
    """JSON that means the same and has no character that a terminal obeys."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def sequence(code: str) -> str:
    """A control sequence of our own (CSI and these characters), as text that may be printed."""
    return f"{_MARK}{code}\1"


def printed(text: str) -> str:
    """Text as it is written: our own sequences obeyed, everything else shown."""
    parts = _MARKED.split(text)
    parts[::2] = [visible(part) for part in parts[::2]]
    parts[1::2] = [f"\x1b[{code}" for code in parts[1::2]]
    return "".join(parts)


#: Stands for one of our own sequences while text is laid out; no text has this character.
LAID_OUT = "\ufdd0"


def laid_out(text: str, lay_out: Callable[[str], str]) -> str:
    """Lay a text out with `LAID_OUT` in the place of each of our sequences, kept in their order."""
    found = _MARKED.finditer(text)
    plain = _MARKED.sub(LAID_OUT, text.replace(LAID_OUT, "\ufffd"))
    return re.sub(LAID_OUT, lambda _: next(found)[0], lay_out(plain))


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def write(stream: TextIO | None, text: str) -> None:
    """Write all of it; what the stream's encoding lacks is escaped.

    Raises:
        SystemExit: it cannot be written. A reader that has enough ends the command quietly;
            any other reason is said, with the exit code for output that is lost.
    """
    stream = unguarded(stream)
    if stream is None:
        _lost("it is closed")
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _let_go(stream)
        raise SystemExit(exitcodes.OK) from None
    except OSError as error:
        _let_go(stream)
        _lost(error.strerror or str(error), silent=stream.fileno() == 2)


def _lost(why: str, *, silent: bool = False) -> NoReturn:
    """Say that output is lost, where that can still be said, and end."""
    if not silent and sys.stderr is not None:
        line = f"error: The output cannot be written: {why}.\n"
        try:
            os.write(2, line.encode())
        except OSError:
            pass  # nobody can be told
    raise SystemExit(exitcodes.OUTPUT_LOST)


def _let_go(stream: TextIO) -> None:
    """Point the descriptor elsewhere, so that the interpreter's last flush has no complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Guarded:
    """Standard output or error for whoever prints without `output`: nothing acts on a terminal."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, shown."""
        write(self._stream, printed(text))
        return len(text)

    def flush(self) -> None:
        """Each write is flushed already."""

    def isatty(self) -> bool:
        """Return True on a terminal."""
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unguarded(stream: Any) -> Any:
    """The stream behind a guarded one."""
    return stream._stream if isinstance(stream, Guarded) else stream


def guard() -> None:
    """Let nothing that this process prints act on the terminal."""
    sys.stdout = Guarded(sys.stdout)
    sys.stderr = Guarded(sys.stderr)
