"""The catalogue as a document: its parts, how it is written, and where the installed one is."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from khive_supervisor.catalogue import parts
from khive_supervisor.errors import InvalidInput
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.registry import Verb

#: The number of the form; another one is read otherwise.
FORM = 1
#: What each part declares.
PARTS = {
    "verbs": "what agents and people can ask for, with arguments and answers as JSON Schema",
    "tools": "the tools of MCP that a session lists",
    "resources": "what a client of MCP can read",
    "prompts": "what a person types as a command in a client",
    "commands": "the command line",
    "routes": "the operator's routes over HTTP, as OpenAPI has them",
    "settings": "the configuration, setting by setting",
    "exit_codes": "what processes end with",
    "errors": "the codes of errors",
    "metrics": "what Prometheus can read",
    "actions": "the kinds of entries of the audit chain: the events that there are",
    "links": "what one entry can be to another",
}
#: Keys of an item that say in words what it is.
_SAID = ("summary", "meaning", "description", "help")
#: The document of this release; scripts/docs writes it.
FILE = Path(__file__).with_name("catalogue.json")


@functools.cache
def released() -> JsonObject:
    """Return the catalogue of this release: what is built in. It is not to be changed."""
    return read(FILE.read_text(encoding="utf-8"), str(FILE))


def installed(verbs: Iterable[Verb]) -> JsonObject:
    """Return the catalogue of this installation: with the verbs of other distributions' packs."""
    found = released()
    return found | {"verbs": parts.verbs(verbs)}


def read(text: str, source: str) -> JsonObject:
    """Return the catalogue that a text is.

    Raises:
        InvalidInput: it is none, or of a form that this release does not know.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("verbs"), dict):
        raise InvalidInput(
            f"{source} is no catalogue.",
            hint="`khive-supervisor catalog --json > FILE` writes one.",
        )
    if found.get("form") != FORM:
        raise InvalidInput(f"{source} is of form {found.get('form')!r}; {FORM} is known here.")
    return found


def written(document: Mapping[str, object]) -> str:
    """Return a catalogue as text: a line for each thing, in the order of their names."""
    lines = [
        f"{json.dumps(name)}: {_part(value) if isinstance(value, Mapping) else json.dumps(value)}"
        for name, value in document.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _part(items: Mapping[str, object]) -> str:
    lines = [f"  {json.dumps(n)}: {json.dumps(items[n], sort_keys=True)}" for n in sorted(items)]
    return "{\n" + ",\n".join(lines) + "\n}" if lines else "{}"


def outline(document: Mapping[str, object]) -> JsonObject:
    """Return a catalogue without the details: each thing with what it is, in words."""
    return {
        name: {item: said(about) for item, about in value.items()}
        if isinstance(value, Mapping)
        else value
        for name, value in document.items()
    }


def said(about: object) -> str:
    """Return what a thing is, in words."""
    if not isinstance(about, Mapping):
        return ""
    return str(next((about[name] for name in _SAID if name in about), ""))
