"""The kinds of values that a setting can have: how each is read, bounded, and written again.

Pure: nothing here knows which settings exist, where a value came from, or the environment.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Concatenate, Literal, ParamSpec

Facts = ParamSpec("Facts")
Kind = Literal[
    "text",
    "lines",
    "path",
    "boolean",
    "integer",
    "number",
    "duration",
    "size",
    "list",
    "command",
    "tables",
]
#: Who may give a setting a value: the user alone, or a project's file as well.
Trust = Literal["user", "project"]
#: When a changed value takes effect; config/changes.py and docs/reload.md say what that means.
Applies = Literal["restart", "session", "live", "rolling", "identity"]

#: Seconds of each unit of a duration, longest first (the order in which one is written).
DURATION_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
#: Bytes of each unit of a size, largest first; the decimal ones are read and never written.
SIZE_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
DECIMAL_SIZE_UNITS = {"GB": 10**9, "MB": 10**6, "KB": 10**3}
#: Characters that break a line, or turn the text after them around, without being seen.
_UNSEEN = frozenset({0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)})
#: Characters of a wrong value that an error repeats.
SHOWN_CHARACTERS = 60

_AMOUNT = r"([0-9]+(?:\.[0-9]+)?)\s*"
_DURATION = re.compile(rf"(?:{_AMOUNT}(ms|d|h|m|s)\s*)+")
_DURATION_PART = re.compile(rf"{_AMOUNT}(ms|d|h|m|s)")
_SIZE = re.compile(rf"{_AMOUNT}([A-Za-z]+)")


class Unfit(ValueError):
    """A value that a setting does not take; `found` says what it was, without quoting a secret."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True, slots=True)
class Setting:
    """What one setting is: everything that validation, the docs and `config show` need.

    Attributes:
        kind: how the value is read.
        help: one sentence, for the docs.
        applies: "restart" (when the supervisor starts again), "session" (in sessions that attach
            after a reload), "live" (at a reload), "rolling" (at a reload, in new workers of the
            role), or "identity" (another value is another role).
        bounds: the least and the most, None where there is none; of a text or list, its length.
        choices: the only values, if there are few.
        pattern: what the whole text (or each text of a list) must match.
        form: the pattern in words.
        optional: whether an empty text (or 0) is allowed and means "not set".
        shown_default: the default for the docs when it depends on the environment.
        private: a wrong value is never repeated in an error (it may be a pasted secret).
        supervisor_only: whether no worker depends on it.
        trust: "user", or "project" for what is harmless in the sessions of a project whose file
            sets it, whoever wrote that file. Never left out: a new setting needs a decision.
        project_maximum: the most that a project's file may set (of a boolean: 0 allows `false`).
    """

    kind: Kind
    help: str
    trust: Trust = field(kw_only=True)
    applies: Applies = "restart"
    bounds: tuple[float | None, float | None] = (None, None)
    choices: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""
    optional: bool = False
    shown_default: str = ""
    private: bool = False
    supervisor_only: bool = False
    project_maximum: float | None = None

    def parse(self, value: object) -> Any:
        """The value in its own type: seconds for a duration, bytes for a size, a tuple for a list.

        Raises:
            Unfit: the value is of another type, not readable, or out of bounds.
        """
        try:
            if self.optional and value == "" and self.kind == "path":
                return value
            parsed = _PARSERS[self.kind](value)
            self._check(parsed)
        except Unfit:
            raise
        except (TypeError, ValueError):
            raise Unfit(_kind_of(value) if self.private else describe(value)) from None
        return parsed

    def is_unset(self, parsed: Any) -> bool:
        """Return True if a value says that nothing is set."""
        return self.optional and parsed in ("", 0, ())

    def _check(self, parsed: Any) -> None:
        if self.is_unset(parsed):
            return
        if self.choices and parsed not in self.choices:
            raise ValueError
        for text in parsed if isinstance(parsed, tuple) else (parsed,):
            if self.pattern and not re.fullmatch(self.pattern, text):
                raise (
                    Unfit(f"the item {describe(text)}") if isinstance(parsed, tuple) else ValueError
                )
        measure = len(parsed) if isinstance(parsed, str | tuple) else parsed
        least, most = self.bounds
        if (least is not None and measure < least) or (most is not None and measure > most):
            raise ValueError

    def allowed(self) -> str:
        """Return what the setting takes, in words."""
        if self.choices:
            return " or ".join(f'"{choice}"' for choice in self.choices)
        words = [_KIND_WORDS[self.kind]]
        if self.form:
            words.append(f"({self.form})")
        words += filter(None, [self.range()])
        if self.optional:
            words.append("or 0 for none" if self.kind in _AMOUNTS else 'or "" for none')
        return " ".join(words)

    def range(self) -> str:
        """Return the bounds in words; empty if there are none."""
        unit = " characters" if self.kind in ("text", "lines", "path") else ""
        unit = unit or (" items" if self.kind in ("list", "command", "tables") else "")
        low, high = (None if bound is None else self._bare(bound) for bound in self.bounds)
        if low is not None and high is not None:
            return f"from {low} to {high}{unit}"
        if low is not None:
            return f"at least {low}{unit}"
        return "" if high is None else f"at most {high}{unit}"

    def _bare(self, bound: float) -> str:
        if self.kind in ("duration", "size"):
            return self.write(bound).strip('"')
        return f"{bound:g}" if abs(bound) < 1e6 else str(int(bound))

    def write(self, value: Any) -> str:
        """Return the value as TOML; `parse` of what TOML reads from it gives the value back.

        None, which no file can say, is the words that the docs have for it.
        """
        if value is None:
            return self.shown_default or "not set"
        return _WRITERS[self.kind](value)


def _as_field(make: Callable[Facts, Setting]) -> Callable[Concatenate[Any, Facts], Any]:
    """Return what makes a dataclass field of a default and the facts of its setting."""

    def declare(default: Any, /, *args: Facts.args, **kwargs: Facts.kwargs) -> Any:
        metadata = {"setting": make(*args, **kwargs)}
        if callable(default):
            return field(default_factory=default, metadata=metadata)
        return field(default=default, metadata=metadata)

    return declare


#: A dataclass field that carries its declaration; the default may be a function, or `MISSING`.
declare = _as_field(Setting)
#: The same for a setting that the user alone may give a value.
users_own = _as_field(functools.partial(Setting, trust="user"))


def declared(table: type[Any]) -> dict[str, Setting]:
    """Return the declarations of a table's keys by name, in order."""
    return {item.name: item.metadata["setting"] for item in fields(table)}


def default_of(table: type[Any], name: str) -> Any:
    """Return the default of a key in the present environment; None if it must be given."""
    item = next(item for item in fields(table) if item.name == name)
    if item.default_factory is not MISSING:
        return item.default_factory()
    return None if item.default is MISSING else item.default


def describe(value: object) -> str:
    """Return a wrong value in words, short enough for one line."""
    if isinstance(value, str | bool | int | float):
        shown = quoted(value) if isinstance(value, str) else str(value).lower()
        return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"
    if isinstance(value, dt.date | dt.time):
        return str(value)
    return _kind_of(value)


def _kind_of(value: object) -> str:
    names = {dict: "a table", list: "a list", tuple: "a list", str: "a text", bool: "a boolean"}
    names |= {int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def quoted(text: str) -> str:
    """A text as a TOML string on one line, with every control character and line end escaped."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c) or _plain_or_escaped(c) for c in text) + '"'


def _plain_or_escaped(character: str) -> str:
    code = ord(character)
    control = code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 or code in _UNSEEN
    return f"\\u{code:04x}" if control else character


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value


def _lines(value: object) -> str:
    """A text of several lines: whatever a program can be told, so no NUL and no half character."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - as all that does not fit
    if "\0" in value or not _encodable(value):
        raise Unfit(f"the text {describe(value)}")
    return value


def _path(value: object) -> str:
    text = _text(value)
    if not text:
        raise ValueError
    return text


def _command(value: object) -> tuple[str, ...]:
    """Return a program and its arguments, which may be empty or have several lines."""
    if not isinstance(value, list | tuple):
        raise TypeError
    for item in value:
        if not isinstance(item, str) or "\0" in item or not _encodable(item):
            raise Unfit(f"the item {describe(item)}")
    if not value or not value[0].strip():
        raise ValueError
    return tuple(value)


def _encodable(text: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    try:
        number = float(value)
    except OverflowError:
        raise ValueError from None
    if not math.isfinite(number):
        raise ValueError
    return number


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    _number(value)
    return value


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds or a text such as "15m", "500ms", "1h 30m".

    Raises:
        TypeError, ValueError: it is neither.
    """
    if not isinstance(value, str):
        return _number(value)
    text = value.strip()
    if not _DURATION.fullmatch(text):
        raise ValueError
    parts = _DURATION_PART.findall(text)
    # Rounded so that "0.1s" and "100ms" are one value; finer than a microsecond nothing waits.
    return _number(round(sum(float(n) * DURATION_UNITS[unit] for n, unit in parts), 6))


def parse_size(value: object) -> int:
    """Bytes from a number of bytes or a text such as "16MiB", "64 kB".

    Raises:
        TypeError, ValueError: it is neither, or not a whole number of bytes.
    """
    if not isinstance(value, str):
        return _integer(value)
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise ValueError
    units = {name.lower(): size for name, size in (SIZE_UNITS | DECIMAL_SIZE_UNITS).items()}
    factor = units.get(match[2].lower())
    if factor is None:
        raise ValueError
    size = _number(float(match[1]) * factor)
    if not size.is_integer():
        raise ValueError
    return int(size)


def _list(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    for item in value:
        if not isinstance(item, str) or not item or not item.isprintable():
            raise Unfit(f"the item {describe(item)}")
    return tuple(value)


def write_duration(seconds: float) -> str:
    """Return a duration as people write it: "15m", "0.5s"."""
    for unit, length in DURATION_UNITS.items():
        if seconds >= length >= 1 and (seconds / length).is_integer():
            return f"{int(seconds / length)}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def write_size(size: float) -> str:
    """Return a size as people write it: "16MiB"."""
    for unit, length in SIZE_UNITS.items():
        if size >= length and size % length == 0:
            return f"{int(size // length)}{unit}"
    return f"{int(size)}B"


def _write_number(value: float) -> str:
    return repr(float(value))


def _write_list(value: tuple[str, ...]) -> str:
    return "[" + ", ".join(quoted(item) for item in value) + "]"


def _tables(_value: object) -> Any:
    """Tables are read by whoever knows their keys, one by one."""
    raise Unfit("tables")


def inline(value: Any) -> str:
    """Return plain data as TOML on one line; what has an `as_dict` is a table."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {inline(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(one) for one in value) + "]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


_PARSERS: dict[Kind, Callable[[object], Any]] = {
    "text": _text,
    "lines": _lines,
    "path": _path,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "duration": parse_duration,
    "size": parse_size,
    "list": _list,
    "command": _command,
    "tables": _tables,
}
_WRITERS: dict[Kind, Callable[[Any], str]] = {
    "text": quoted,
    "lines": quoted,
    "path": quoted,
    "boolean": lambda value: str(value).lower(),
    "integer": str,
    "number": _write_number,
    "duration": lambda value: f'"{write_duration(value)}"',
    "size": lambda value: f'"{write_size(value)}"',
    "list": _write_list,
    "command": _write_list,
    "tables": inline,
}
_KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "lines": "a text of any lines",
    "path": "a path",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "duration": 'a duration such as "500ms", "10s", "15m" (a bare number is seconds)',
    "size": 'a size such as "64KiB", "16MiB" (a bare number is bytes)',
    "list": "a list of texts",
    "command": "a list of texts: a program and its arguments",
    "tables": "a list of tables",
}
#: Kinds whose "not set" is 0 instead of an empty text.
_AMOUNTS = frozenset({"integer", "number", "duration", "size"})
