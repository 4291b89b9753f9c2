"""The parts of the catalogue that are declared in this package: verbs, settings, codes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from khive_supervisor import errors, exitcodes
from khive_supervisor.access.grant import Audience
from khive_supervisor.audit.actions import ACTIONS
from khive_supervisor.catalogue.config_schema import LISTS, setting_schema
from khive_supervisor.config.settings.model import TABLES
from khive_supervisor.config.settings.roles import NESTED
from khive_supervisor.config.settings.values import Setting, declared
from khive_supervisor.graph.ontology import ONTOLOGY
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.registry import Verb


def verbs(found: Iterable[Verb]) -> JsonObject:
    """Return verbs by name: what each takes and answers, what it does, whom it is for."""
    return {verb.name: _verb(verb) for verb in found}


def _verb(verb: Verb) -> JsonObject:
    shown: JsonObject = {
        "summary": verb.summary,
        "audience": (verb.audience or Audience.AGENT).value,
        "read_only": verb.read_only,
        "destructive": verb.destructive,
        "idempotent": verb.idempotent,
        "confined": not verb.shared,
        "arguments": verb.input_schema,
    }
    if verb.tool:
        shown["tool"] = verb.tool_name
    return shown | ({"answer": dict(verb.output)} if verb.output else {})


def settings() -> JsonObject:
    """Return settings by their whole names; of lists of tables, `roles[].workers`."""
    tables = [*TABLES.items(), *((f"{name}[]", kind) for name, kind in LISTS.items())]
    return {
        f"{table}.{name}": _setting(setting)
        for table, kind in tables
        for name, setting in _keys(kind)
    }


def _keys(kind: type[object]) -> Iterable[tuple[str, Setting]]:
    for name, setting in declared(kind).items():
        if name in NESTED:
            yield from ((f"{name}.{inner}", one) for inner, one in declared(NESTED[name]).items())
        else:
            yield name, setting


def _setting(setting: Setting) -> JsonObject:
    return {
        "meaning": setting.help,
        "kind": setting.kind,
        "value": setting_schema(setting),
        "applies": setting.applies,
        "trust": setting.trust,
    }


def exit_codes() -> JsonObject:
    """Return the exit codes of all processes by name."""
    return {
        name: {"code": getattr(exitcodes, name), "meaning": said}
        for name, said in exitcodes.MEANINGS.items()
    }


def error_codes() -> JsonObject:
    """Return the codes of errors, with the exit code that a command ends with."""
    return {kind.code: _error(kind) for kind in _kinds(errors.KhiveError)}


def _kinds(kind: type[errors.KhiveError]) -> Iterable[type[errors.KhiveError]]:
    yield kind
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from _kinds(one)


def _error(kind: type[errors.KhiveError]) -> JsonObject:
    said = (kind.__doc__ or "").strip().partition("\n")[0]
    return {"meaning": said, "exit_code": kind.exit_code, "retryable": kind.retryable}


def actions() -> JsonObject:
    """Return the kinds of entries of the audit chain, which are the events that there are."""
    return {one.kind: {"subject": one.subject, "meaning": one.meaning} for one in ACTIONS}


def links() -> JsonObject:
    """Return the kinds of links between entries."""
    return {
        kind.name: {
            "inverse": kind.inverse,
            "meaning": kind.meaning,
            "from": sorted(kind.starts),
            "to": sorted(kind.ends),
            "symmetric": kind.symmetric,
            "acyclic": kind.acyclic,
        }
        for kind in ONTOLOGY.values()
    }
