"""A bundle for whoever helps: how everything is, without contents and without secrets."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from khive_supervisor import __version__
from khive_supervisor.cli.connection.finding import control
from khive_supervisor.cli.connection.session import loaded
from khive_supervisor.cli.doctor import masking
from khive_supervisor.cli.doctor.service import schema_of
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.settings import roles
from khive_supervisor.config.settings.model import TABLES, Config, every_value
from khive_supervisor.config.show import as_dict
from khive_supervisor.errors import ConfigError, InvalidInput, KhiveError
from khive_supervisor.sqlite.schema import migrations
from khive_supervisor.text.plain_json import JsonObject

#: Lines of the log's end that are taken.
LOG_LINES = 5000
_ABOUT = """\
What `khive-supervisor doctor --bundle` has gathered. Texts that somebody may have written
(memories, prompts, paths, settings, errors) are left out: "(12 characters)" stands for one.

doctor.json          every check
status.json          the supervisor, its processes, roles, sessions, the index
counters.json        what was counted and measured, as metrics tell it
configuration.json   settings that were set: numbers, and words that are one of few
versions.json        this release, Python, packages, the system
sizes.json           bytes of files, the schema's number
log.jsonl            the log's last lines, without their texts
"""


def write_bundle(file: str, config_file: str | None, checks: Sequence[Mapping[str, str]]) -> None:
    """Write a bundle to a new file that only its owner can read.

    Raises:
        InvalidInput: there is a file of this name, or none can be made there.
    """
    found = _loaded(config_file)
    parts: dict[str, Callable[[], object]] = {
        "doctor.json": lambda: _checks(checks, found),
        "status.json": lambda: _asked(config_file, "status"),
        "counters.json": lambda: _asked(config_file, "counters"),
        "configuration.json": lambda: _configuration(found),
        "versions.json": _versions,
        "sizes.json": lambda: _sizes(_config(found)),
    }
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(
            f"The bundle cannot be written to {file}: {error.strerror}.",
            hint="Name a new file in a directory of yours.",
        ) from None
    with (
        os.fdopen(descriptor, "wb") as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle,
    ):
        bundle.writestr("README.txt", _ABOUT)
        for name, make in parts.items():
            bundle.writestr(name, json.dumps(_tried(make), indent=2) + "\n")
        bundle.writestr("log.jsonl", "".join(f"{line}\n" for line in _log(_config(found))))


def _tried(make: Callable[[], object]) -> object:
    """Return a part, or why there is none: a bundle is for when something is broken."""
    try:
        return make()
    except (KhiveError, OSError, ValueError) as error:
        return {"missing": type(error).__name__}


def _loaded(config_file: str | None) -> LoadedConfig | ConfigError:
    try:
        return loaded(config_file)
    except ConfigError as error:
        return error


def _config(found: LoadedConfig | ConfigError) -> Config:
    return found.config if isinstance(found, LoadedConfig) else Config()


def _checks(
    checks: Sequence[Mapping[str, str]], found: LoadedConfig | ConfigError
) -> list[dict[str, str]]:
    """Return what doctor found, in its words, without what was set by somebody."""
    if isinstance(found, ConfigError):  # its problems name what is in the file: nothing is known
        return [{"name": one["name"], "status": one["status"]} for one in checks]
    whole = as_dict(found.config, private=True)
    chosen = [
        *(v for key, _, v in every_value(found.config) if found.origins.get(key) != "default"),
        *(value for name, value in whole.items() if name not in TABLES),
    ]
    values = {*masking.texts_in(chosen), *masking.told_by_environment(os.environ)}
    home = os.path.expanduser("~")
    return [{n: masking.scrubbed(text, values, home) for n, text in one.items()} for one in checks]


def _asked(config_file: str | None, operation: str) -> object:
    with control(config_file) as client:
        return masking.masked(client.request(operation))


def _configuration(found: LoadedConfig | ConfigError) -> JsonObject:
    if isinstance(found, ConfigError):
        return {"valid": False, "problems": len(found.problems)}
    shown = {
        key: masking.setting(roles.plain_of(value), declared.choices)
        for key, declared, value in every_value(found.config)
        if found.origins.get(key, "default") != "default"
    }
    told = {"roles", *TABLES}  # these are among the settings
    lists = {n: masking.masked(v) for n, v in as_dict(found.config).items() if v and n not in told}
    return {"has_file": found.file is not None, "settings": shown, **lists}


def _versions() -> JsonObject:
    import apsw

    names = sorted(
        (one.name, one.version)
        for one in importlib.metadata.distributions()
        if one.metadata["Name"] is not None
    )
    variables = sorted(n for n in os.environ if n.startswith(("KHIVE_", "XDG_")))
    return {
        "khive-supervisor": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "sqlite": apsw.sqlite_lib_version(),
        "packages": dict(names),
        "variables": variables,
        "processors": os.cpu_count(),
    }


def _sizes(config: Config) -> JsonObject:
    store = Path(config.store.path)
    files = {
        "store": store,
        "wal": store.with_name(store.name + "-wal"),
        "log": Path(config.log.file),
    }
    sizes: JsonObject = {name: _size(file) for name, file in files.items()}
    index = store.parent / "index"
    sizes["index"] = sum(_size(one) or 0 for one in index.iterdir()) if index.is_dir() else None
    sizes["schema"] = schema_of(config.store.path)
    sizes["schema_of_this_release"] = migrations.NEWEST
    disk = os.statvfs(store.parent)
    return {**sizes, "disk_free": disk.f_bavail * disk.f_frsize}


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _log(config: Config) -> list[str]:
    try:
        with open(config.log.file, encoding="utf-8", errors="replace") as stream:
            lines = deque(stream, maxlen=LOG_LINES)
    except OSError:
        return []
    return [masking.log_line(line.rstrip("\n")) for line in lines]
