"""Projects that name programs, files and endpoints: made from the settings' own tables.

A case lays something into a directory and says what a client there is started with. To add one,
write a function that takes a `Kit` and returns `Case`s, and name it in `SOURCES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khive_supervisor.config.settings.model import TABLES, settings_of
from khive_supervisor.config.settings.roles import every_key
from khive_supervisor.config.settings.values import Setting, default_of
from khive_supervisor.config.variables import VARIABLES

#: The variable that holds a secret which no endpoint may get.
SECRET = "CANARY_SECRET"


@dataclass(frozen=True, slots=True)
class Kit:
    """What a hostile text can name: each of them notices when it is used.

    Attributes:
        program: an executable; `module` and `function`: Python beside the project's file.
        victim: a directory of the user with files that must stay as they are.
        url: an HTTP endpoint; `socket`: a Unix socket that somebody listens at.
    """

    program: str
    module: str
    victim: Path
    url: str
    socket: str


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile project.

    Attributes:
        name: what it tries.
        files: texts by their path in the project; `{root}` in a text is its directory.
        environment: what its client's settings set; `{root}` likewise.
        arguments: what they add to the command `attach`.
        cold: whether no supervisor runs when its session begins.
    """

    name: str
    files: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    cold: bool = False


#: How a client comes to a configuration in its project: by finding it, or by its settings.
WAYS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "found": ("khive.toml", {}, ()),
    "KHIVE_CONFIG": ("conf/c.toml", {"KHIVE_CONFIG": "{root}/conf/c.toml"}, ()),
    "relative KHIVE_CONFIG": ("c.toml", {"KHIVE_CONFIG": "c.toml"}, ()),
    "--config": ("conf/c.toml", {}, ("--config", "{root}/conf/c.toml")),
    "XDG_CONFIG_HOME": ("xdg/khive/khive.toml", {"XDG_CONFIG_HOME": "{root}/xdg"}, ()),
}


def cases(kit: Kit) -> Iterator[Case]:
    """All of them."""
    for source in SOURCES:
        yield from source(kit)


def of_tables(kit: Kit) -> Iterator[Case]:
    """Each table with everything in it, by each way."""
    texts = {table: table_text(table, kit) for table in TABLES}
    texts["roles"] = role_text(kit, {})
    texts["all"] = "".join(texts.values())
    for table, text in texts.items():
        for way, (file, environment, arguments) in WAYS.items():
            files = {file: text}
            cold = table in ("all", "roles")
            yield Case(f"[{table}] by {way}", files, environment, arguments, cold=cold)


def of_settings(kit: Kit) -> Iterator[Case]:
    """Each setting alone: a whole file may be refused where one line would not."""
    for table in TABLES:
        for name, setting in settings_of(table).items():
            text = f"[{table}]\n{name} = {hostile(table, name, setting, kit)}\n"
            yield Case(f"{table}.{name}", {"khive.toml": text})


def of_roles(kit: Kit) -> Iterator[Case]:
    """Each key of a role, beside a handler that works."""
    for name, setting in every_key():
        text = role_text(kit, {name: hostile("roles", name, setting, kit)})
        yield Case(f"roles: {name}", {"khive.toml": text})


def of_capabilities(kit: Kit) -> Iterator[Case]:
    """A directory of capabilities in the project, and a role that names one of them."""
    package = (
        'id = "evil"\nrole = "evil"\ndescription = "d"\ntask_types = ["x"]\nprompt = "p"\n'
        f"[budget]\nfallback = {json.dumps([kit.program])}\n"
    )
    text = (
        f'[agents]\ncapabilities = "{{root}}/c"\ncommand = {json.dumps([kit.program])}\n'
        '[[roles]]\ncapability = "evil"\n'
    )
    yield Case("a capability", {"c/evil.toml": package, "khive.toml": text}, cold=True)


def of_variables(kit: Kit) -> Iterator[Case]:
    """Each variable that leads somewhere, into the project and to what listens there.

    HOME is not among them: what is done about it would leave this benchmark's own home.
    """
    for variable in VARIABLES:
        if variable.trust == "place" and variable.name != "HOME":
            for value in ("{root}/place", "place"):
                files = {"place/khive/khive.toml": role_text(kit, {}), "place/x": ""}
                name = f"{variable.name}={value}"
                yield Case(name, files, {variable.name: value}, cold=True)
    yield Case("KHIVE_SOCKET to a listener", {}, {"KHIVE_SOCKET": kit.socket})


SOURCES: list[Callable[[Kit], Iterator[Case]]] = [
    of_tables,
    of_settings,
    of_roles,
    of_capabilities,
    of_variables,
]

# --- values -----------------------------------------------------------------------------------


def table_text(table: str, kit: Kit) -> str:
    """A table with a hostile value for each of its settings."""
    lines = (
        f"{name} = {hostile(table, name, setting, kit)}\n"
        for name, setting in settings_of(table).items()
    )
    return f"[{table}]\n{''.join(lines)}"


def role_text(kit: Kit, keys: Mapping[str, str]) -> str:
    """A role that runs the program, unless its keys say otherwise; and one in Python."""
    first = {"role": '"a"', "task_types": '["a"]', **keys}
    if not any(key.startswith("handler") for key in keys):
        first["handler.command"] = json.dumps([kit.program])
    second = {"role": '"b"', "task_types": '["b"]', "cwd": '"{root}"'}
    second["handler.python"] = json.dumps(f"{kit.module}:run")
    return "".join(
        "[[roles]]\n" + "".join(f"{key} = {value}\n" for key, value in role.items())
        for role in (first, second)
    )


#: Values by name, where the kind alone does not say what would be hostile.
_BY_NAME: dict[str, Callable[[Kit], Any]] = {
    "kind": lambda _kit: "openai",
    "url": lambda kit: kit.url,
    "dimensions": lambda _kit: 8,
    "api_key_env": lambda _kit: SECRET,
    "env_allow": lambda _kit: [SECRET],
    "env_require": lambda _kit: [SECRET],
    "roots": lambda _kit: ["/"],
    "enabled": lambda _kit: True,
    "level": lambda _kit: "debug",
    "handler.python": lambda kit: f"{kit.module}:run",
    "store.path": lambda kit: str(kit.victim / "khive.db"),
    "log.file": lambda kit: str(kit.victim / "log"),
}


def hostile(table: str, name: str, setting: Setting, kit: Kit) -> str:
    """A value, as TOML, that would do most harm."""
    for key in (f"{table}.{name}", name):
        if key in _BY_NAME:
            return json.dumps(_BY_NAME[key](kit))
    if setting.kind == "command":
        return json.dumps([kit.program])
    if setting.kind == "path":
        return json.dumps(str(kit.victim))
    if setting.choices:
        return json.dumps(setting.choices[-1])
    if setting.kind in ("text", "lines"):
        return '"evil"'
    if setting.kind == "list":
        return '["evil"]'
    if setting.kind == "boolean":
        return "true"
    return setting.write(setting.bounds[1] or _default(table, name) or 1)


def _default(table: str, name: str) -> Any:
    return default_of(TABLES[table], name) if table in TABLES else None
