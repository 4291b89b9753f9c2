"""The gate in front of every text that is kept: it refuses or masks, and never says the value.

What people and agents say can be refused, for they can say it otherwise. What programs write (the
output of a task, a document) is masked. Private spans are cut in every mode.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

from khive_supervisor.errors import SecretFound
from khive_supervisor.redaction import detection
from khive_supervisor.redaction.detection import Finding
from khive_supervisor.redaction.spans import without_private
from khive_supervisor.text.plain_json import JsonObject

#: Secrets of one text that an error names; the rest is counted.
NAMED = 5
#: Texts that are remembered as having passed, so that they are not searched again on their way: at
#: least those of a call that stores a thousand entries.
_PASSED = 8192
#: Characters of the shortest text that can hold a secret.
_SHORTEST = 8
#: Characters of the shortest one that is a secret by the name of its field.
_SHORTEST_VALUE = 6


class Mode(enum.StrEnum):
    """What becomes of a text with a secret in it, if somebody says it."""

    REFUSE = "refuse"
    MASK = "mask"
    OFF = "off"


class TextGate:
    """Lets texts through without what must not be kept; belongs to one process."""

    def __init__(self, mode: Mode | str = Mode.REFUSE) -> None:
        self.mode = Mode(mode)
        self._passed: set[int] = set()
        self._passed_before: set[int] = set()

    def said(self, text: str, where: str) -> str:
        """Return what may be kept of what a person or an agent says.

        Raises:
            SecretFound: it holds a secret, and is to be refused; `where` names it.
        """
        text = without_private(text)
        findings = self._findings(text)
        if findings and self.mode is Mode.REFUSE:
            named = [f"{where}, {shown(text, one)}" for one in findings[:NAMED]]
            raise refused(named, len(findings))
        return self._through(text, findings)

    def written(self, text: str) -> str:
        """Return what may be kept of what a program writes."""
        if self._has_passed(hash(text)):
            return text
        text = without_private(text)
        return self._through(text, self._findings(text))

    def said_data(self, data: Any, where: str) -> Any:
        """Return what may be kept of plain data that somebody gives; raises as `said` does."""
        data = _mapped(data, lambda _name, text: without_private(text))
        if self.mode is Mode.REFUSE and (places := list(places_in(data, where))):
            raise refused(places[:NAMED], len(places))
        return self.written_data(data)

    def written_data(self, data: Any) -> Any:
        """Return what may be kept of plain data that a program gives."""
        return _mapped(data, self._field)

    def passed(self, text: str) -> str:
        """Return a text that was made of what has passed already."""
        self._pass(hash(text))
        return text

    def derived(self, text: str, source: str) -> str:
        """Return a text that was made of another one; it has passed if that one has."""
        return self.passed(text) if self._has_passed(hash(source)) else text

    def _pass(self, known: int) -> None:
        self._passed.add(known)
        if len(self._passed) > _PASSED:
            self._passed, self._passed_before = set(), self._passed

    def _has_passed(self, known: int) -> bool:
        return known in self._passed or known in self._passed_before

    def _field(self, name: str, text: str) -> str:
        text = without_private(text)
        known = hash((name, text))
        if self.mode is Mode.OFF or len(text) < _SHORTEST_VALUE or self._has_passed(known):
            return text
        findings = detection.find_value(name, text)
        if not findings:
            self._pass(known)
        return detection.masked(text, findings)

    def _findings(self, text: str) -> list[Finding]:
        if self.mode is Mode.OFF or len(text) < _SHORTEST or self._has_passed(hash(text)):
            return []
        return detection.find(text)

    def _through(self, text: str, findings: list[Finding]) -> str:
        return self.passed(detection.masked(text, findings) if findings else text)


def shown(text: str, finding: Finding) -> str:
    """Return where a secret is, and by which rule; never what it is."""
    line, column = detection.place(text, finding.start)
    return f"line {line}, column {column} ({finding.rule})"


def refused(places: list[str], count: int) -> SecretFound:
    """Return the error of a text with secrets, the first of which are at some places."""
    more = f", and {count - len(places)} more" if count > len(places) else ""
    return SecretFound(
        f"What looks like a secret would be kept: {'; '.join(places)}{more}. Nothing was stored.",
        hint="Leave it out: name where it is kept instead, or write <password> in its place. What "
        "stands between <private> and </private> is cut. docs/secrets.md says what is found, and "
        "how the user has it masked (secrets.mode).",
    )


def places_in(data: Any, where: str, name: str = "") -> Iterator[str]:
    """Return where secrets are in plain data, and by which rules."""
    if isinstance(data, str):
        for one in detection.find_value(name, data):
            yield f"{where}, {shown(data, one)}"
    elif isinstance(data, Mapping):
        for number, (key, value) in enumerate(data.items()):
            named = f"key {number + 1} of {where}"
            hidden = bool(detection.find(str(key)))
            yield from places_in(str(key), named)
            yield from places_in(value, named if hidden else f"{where}.{str(key)[:40]}", str(key))
    elif isinstance(data, list | tuple):
        for number, value in enumerate(data):
            yield from places_in(value, f"{where}.{number}", name)


def _mapped(data: Any, change: Any, name: str = "") -> Any:
    """Return plain data with each of its texts changed; `change` gets the name of its field."""
    if isinstance(data, str):
        return change(name, data)
    if isinstance(data, Mapping):
        changed: JsonObject = {
            change("", key) if isinstance(key, str) else key: _mapped(value, change, str(key))
            for key, value in data.items()
        }
        return changed
    if isinstance(data, list | tuple):
        return [_mapped(value, change, name) for value in data]
    return data
