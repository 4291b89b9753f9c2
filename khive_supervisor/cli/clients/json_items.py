"""Change the items of one list in a JSON document, `section.name`, and leave all else as it is.

Pure; built on `json_edit`, and as careful: an edit counts only if nothing else changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from khive_supervisor.cli.clients import json_edit
from khive_supervisor.cli.clients.json_edit import CannotEdit
from khive_supervisor.text.plain_json import JsonObject

Decides = Callable[[object], bool]


def items(text: str, section: str, name: str) -> list[object]:
    """Return the list `section.name`; empty if it is not there.

    Raises:
        CannotEdit: the text is not JSON, or has something else there.
    """
    return _items(json_edit.parse(text), section, name)


def list_names(text: str, section: str) -> list[str]:
    """Return the names of the lists in a section; raises as `items`."""
    outer = json_edit.parse(text).get(section, {})
    pairs = outer.items() if isinstance(outer, dict) else ()
    return [name for name, value in pairs if isinstance(value, list)]


def append_item(text: str, section: str, name: str, item: JsonObject) -> str:
    """Return the document with one more item at the end of `section.name`, made if need be.

    Raises:
        CannotEdit: as `items`; or it cannot be edited safely.
    """
    before = items(text, section, name)
    if not before:
        return json_edit.set_member(text, section, name, [item])
    plain = json_edit.strict_form(text)
    spans = _spans(plain, section, name)
    edited = json_edit.append_item_after(text, *spans[-1], item)
    return _verified(text, edited, section, name, [*before, item])


def remove_items(text: str, section: str, name: str, doomed: Decides) -> str:
    """Return the document without those items of `section.name`; an empty list goes as well.

    Raises:
        CannotEdit: as `append_item`.
    """
    while (before := items(text, section, name)) and any(map(doomed, before)):
        if all(map(doomed, before)):
            return _without_list(text, section, name)
        index = next(n for n, item in enumerate(before) if doomed(item))
        edited = _without_item(text, _spans(json_edit.strict_form(text), section, name), index)
        left = before[:index] + before[index + 1 :]
        text = _verified(text, edited, section, name, left)
    return text


def _without_list(text: str, section: str, name: str) -> str:
    """Return the document without a list, and without the object around it if that is empty."""
    text = json_edit.remove_member(text, section, name)
    if json_edit.parse(text).get(section) == {}:
        return json_edit.remove_section(text, section)
    return text


def _without_item(text: str, spans: list[tuple[int, int]], index: int) -> str:
    """Return the text without an item of several, with its comma and the blanks between."""
    start, end = spans[index]
    if index:
        return text[: spans[index - 1][1]] + text[end:]
    return text[:start] + text[spans[index + 1][0] :]


def _spans(plain: str, section: str, name: str) -> list[tuple[int, int]]:
    """Return where each item of `section.name` stands; the list is known to be there."""
    opening = json_edit.value_of(plain, section, name)
    decoder = json.JSONDecoder()
    found: list[tuple[int, int]] = []
    position = json_edit.skip(plain, opening + 1)
    while plain[position] != "]":
        _, end = decoder.raw_decode(plain, position)
        found.append((position, end))
        position = json_edit.skip(plain, end)
        if plain[position] == ",":
            position = json_edit.skip(plain, position + 1)
    return found


def _items(document: JsonObject, section: str, name: str) -> list[object]:
    outer = document.get(section, {})
    if not isinstance(outer, dict):
        raise CannotEdit(f'its "{section}" is not an object')
    found = outer.get(name, [])
    if not isinstance(found, list):
        raise CannotEdit(f'its "{section}.{name}" is not a list')
    return found


def _verified(before: str, edited: str, section: str, name: str, wanted: list[object]) -> str:
    document = json_edit.parse(before)
    expected = {**document, section: {**document[section], name: wanted}}
    if json_edit.parse(edited) != expected:
        raise CannotEdit("an edit would have changed more than our hooks")
    return edited
