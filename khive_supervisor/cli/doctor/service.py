"""The checks of `doctor` that follow one configuration: store, index, socket, clients and more."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from khive_supervisor import __version__
from khive_supervisor.audit.chain import Head, beginning
from khive_supervisor.audit.verify import verify_chain
from khive_supervisor.cli.clients import clients
from khive_supervisor.cli.connection.finding import status_of, unreachable
from khive_supervisor.cli.doctor.checks import Check, Status
from khive_supervisor.cli.render.output import counted
from khive_supervisor.config.all_capabilities import all_capabilities
from khive_supervisor.config.guarded import guarded
from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.config.settings.values import write_size
from khive_supervisor.control.client import ControlClient, check_socket_path
from khive_supervisor.embed.names import model_id_of
from khive_supervisor.errors import Denied, KhiveError, NotRunning, Unresponsive, VersionMismatch
from khive_supervisor.host import ownership, paths
from khive_supervisor.host.holder import Holder
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.sqlite.schema import guards, migrations
from khive_supervisor.store.audit import AuditChain
from khive_supervisor.store.interface import Store
from khive_supervisor.text.plain_json import JsonObject

#: Free bytes below which the store's disk is reported, and below which it will fail soon.
FREE_WARN, FREE_FAIL = 1 << 30, 64 << 20
#: Endings of what somebody may have meant to be a configuration.
LIKE_CONFIGURATION = (".toml", ".yaml", ".yml")
#: Entries of the audit chain that are checked without --deep: well below a second.
AUDIT_ENTRIES = 10_000
#: Where the schema's number stands in a SQLite file (https://www.sqlite.org/fileformat2.html).
_SCHEMA_BYTES = slice(60, 64)


def check_configuration(loaded: LoadedConfig) -> Iterable[Check]:
    """Where the configuration comes from; that it is valid was seen when it was loaded."""
    changed = sum(origin != "default" for origin in loaded.origins.values())
    source = loaded.file or "no file, the defaults"
    yield Check("configuration", "ok", f"{source}; {counted(changed, 'setting')} not as by default")
    own = paths.config_home() + "/khive.toml"
    for name in _not_read(paths.config_home(), {own, loaded.file}):
        yield Check(
            "configuration", "warn", f"{name} is not read", f"The configuration is {own}",
            f"Bring what it says into {shlex.quote(own)}, or remove it.",
        )  # fmt: skip


def _not_read(directory: str, read: Collection[str | None]) -> Iterable[str]:
    """Yield files in the configuration's directory that look like one, and are none."""
    with suppress(OSError):
        found = sorted(os.listdir(directory))
        files = (f"{directory}/{name}" for name in found if name.endswith(LIKE_CONFIGURATION))
        yield from (file for file in files if file not in read and os.path.isfile(file))


def check_embedder(settings: EmbedderSettings, environ: Mapping[str, str]) -> Iterable[Check]:
    """What the configured embedder needs and this machine may lack."""
    if settings.kind == "none":
        why = "Search is full text only."
        yield Check("embedder", "ok", "None is configured", why)
    if settings.kind != "openai":
        return
    name = settings.api_key_env
    if name and not environ.get(name):
        why = f"embedder.api_key_env names {name}, and it is not set here."
        fix = "Set it where the supervisor starts."
        yield Check("embedder", "warn", "The endpoint's key is missing", why, fix)
    url = urlsplit(settings.url)
    if url.scheme == "http" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        why = "What is remembered travels to the endpoint as plain text."
        yield Check("embedder", "warn", f"{settings.url} is not encrypted", why, "Use https.")
    yield Check("embedder", "ok", f"{settings.model} at {settings.url}")


def check_roles(
    loaded: LoadedConfig, environ: Mapping[str, str], socket_path: str
) -> Iterable[Check]:
    """What the roles' handlers need, as the supervisor sees it, and this machine may lack."""
    status = _told(socket_path)
    path = status.get("environment", {}).get("path") if status else None
    theirs = {**environ, "PATH": path} if path else environ
    problems = check_handlers(loaded.config, theirs)
    here = {(one.role, one.key) for one in check_handlers(loaded.config, environ)}
    for problem in problems:
        why = f"{loaded.origins.get(problem.key, loaded.file)}: {problem}"
        if (problem.role, problem.key) in here:
            yield Check("roles", "fail", f"The role {problem.role} cannot work here", why)
            continue
        what = f"The role {problem.role} lacks in the supervisor what this shell has"
        fix = "Put its directory into `path` below [agents], or into your login shell's PATH."
        yield Check("roles", "fail", what, f"{why}; roles look in {path}", fix)
    if not problems and loaded.config.roles:
        number = counted(len(loaded.config.roles), "role")
        yield Check("roles", "ok", f"Nothing is lacking for {number}")


def _told(socket_path: str) -> JsonObject | None:
    """Return what a supervisor says of itself; None if none says anything."""
    try:
        with ControlClient(socket_path) as client:
            return status_of(client)
    except (KhiveError, OSError):
        return None  # the check of the supervisor says so


def check_capabilities(config: Config) -> Iterable[Check]:
    """Packages that cannot be enabled; a role that names one makes the configuration invalid."""
    found = all_capabilities(config.agents.capabilities)
    for broken in found.broken:
        name = broken.id or broken.source
        yield Check("capabilities", "warn", f"{name} is broken", "; ".join(broken.problems))
    yield Check("capabilities", "ok", f"{len(found.packages)} can be enabled")


def check_http(socket_path: str) -> Iterable[Check]:
    """Check that HTTP that was asked for is served; nothing is said while it is off."""
    status = _told(socket_path)
    http = status.get("http") if status else None
    if http is None or http["state"] == "off":
        return
    if http["problem"]:
        what = f"HTTP is not served: {http['state']}"
        yield Check("http", "fail", what, str(http["problem"]), "`khive-supervisor logs` has more.")
    else:
        yield Check("http", "ok", f"{http['url']}, the token is in {http['token_file']}")


def check_directories(found: LoadedConfig, socket_path: str) -> Iterable[Check]:
    """Check that nobody else can replace the configuration, the store, the socket or the log."""
    problems = {
        problem.path: problem
        for path in guarded(found.config, found.file, socket_path)
        if (problem := ownership.exposed(path)) is not None
    }
    for problem in problems.values():
        what = f"{problem.path} {problem.why}"
        why = "Others could replace what is in it; the supervisor does not start."
        yield Check("directories", "fail", what, why, problem.fix)
    foreign = paths.foreign_home()
    if foreign is not None:
        yield Check("directories", "fail", foreign)
    elif not problems:
        yield Check("directories", "ok", "Nobody else can write where this keeps its files")


def check_place(config: Config) -> Iterable[Check]:
    """The store's directory: there, ours, local, with room."""
    path = os.path.realpath(config.store.path)
    network = config.store.allow_network_filesystem
    guards.check_place(path, allow_network=network, filesystem_of=guards.filesystem_type)
    existing = _existing(os.path.dirname(path))
    kind = guards.filesystem_type(existing) or "unknown filesystem"
    found = os.statvfs(existing)
    free = found.f_bavail * found.f_frsize
    what = f"{os.path.dirname(path)} on {kind}, {free / (1 << 30):.1f} GiB free"
    if free < FREE_WARN:
        status: Status = "fail" if free < FREE_FAIL else "warn"
        yield Check("store place", status, what, "Writes fail when it is full.", "Make room.")
    elif guards.is_network(kind):
        why = "store.allow_network_filesystem is set: only this host may ever open it."
        yield Check("store place", "warn", what, why)
    else:
        yield Check("store place", "ok", what)


def _existing(directory: str) -> str:
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def check_store(config: Config, deep: bool) -> Iterable[Check]:
    """The store's file: ours, of a known schema, private, and (deep) undamaged."""
    path = os.path.realpath(config.store.path)
    guards.check_file(path, migrations.NEWEST)
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        yield Check("store", "ok", f"{path} does not exist yet; the first start makes it")
        return
    if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        why = "Other users of this machine can read what is remembered."
        yield Check("store", "warn", f"{path} is not private", why, f"chmod 600 {path}")
    schema = schema_of(path)
    # Opening would migrate it. A new store has its schema in the log only, and 0 in the file.
    if schema == migrations.NEWEST or (schema == 0 and os.path.exists(path + "-wal")):
        yield from _opened(config, deep)
    else:
        what = f"{path} has schema {schema}; the next start brings it to {migrations.NEWEST}"
        yield Check("store", "ok", what)


def schema_of(path: str) -> int:
    """Return the schema's number in a store's file; raises OSError."""
    # Read before this process opens the store: closing a descriptor of it would drop its locks.
    with open(path, "rb") as file:
        return int.from_bytes(file.read(100)[_SCHEMA_BYTES], "big")


def _opened(config: Config, deep: bool) -> Iterable[Check]:
    store = open_store(config)
    try:
        stats = store.stats()
        size = write_size(stats.file_bytes >> 10 << 10)
        entries = ", ".join(f"{count} {name}" for name, count in stats.live.items()) or "empty"
        yield Check("store", "ok", f"{config.store.path} opens: {entries}; {size}")
        if deep:
            yield from _deep(store)
        yield from _generation(config, store)
        yield from _audit(config, store, deep)
    finally:
        store.close()


def _deep(store: Store) -> Iterable[Check]:
    problems = store.quick_check()
    if problems:
        why = " ".join(problems[:5])
        yield Check("store contents", "fail", "The store is damaged", why, "Restore a backup.")
    else:
        yield Check("store contents", "ok", "Every page, reference and full-text row is right")


def _generation(config: Config, store: Store) -> Iterable[Check]:
    """The index file that readers are told to map."""
    model = model_id_of(config.embedder)
    generation = store.generations.current(model) if model else None
    if generation is None:
        yield Check("index", "ok", "None yet; new vectors are searched exactly")
        return
    fix = "Search is full text until it is built again: khive-supervisor index build"
    try:
        Generations(config.store.path).verify(generation)
    except KhiveError as error:
        yield Check("index", "fail", f"Generation {generation.generation}", error.message, fix)
        return
    what = f"Generation {generation.generation} is intact: {generation.items} vectors"
    yield Check("index", "ok", what)


def _audit(config: Config, store: Store, deep: bool) -> Iterable[Check]:
    """Check that nobody has changed what was done: the newest entries, or (deep) all of them."""
    for origin in store.audit.origins():
        yield from _chain(config, store.audit.chain(origin), origin, deep)


def _chain(config: Config, chain: AuditChain, origin: str, deep: bool) -> Iterable[Check]:
    whose = f"The audit chain of {origin}" if origin else "The audit chain"
    newest = chain.head().seq
    first = 0 if deep else max(0, newest - AUDIT_ENTRIES)
    start = next(chain.entries(first - 1), None) if first else None
    known = Head(start.seq, start.hash, origin) if start else beginning(origin)
    report = verify_chain(chain, start=known)
    if report.problem is not None:
        fix = "khive-supervisor audit verify; docs/audit.md says what it can mean."
        yield Check("audit", "fail", f"{whose} is broken", report.problem.text, fix)
    elif not config.audit.enabled:
        yield Check("audit", "warn", "Nothing is recorded", "audit.enabled is off.")
    else:
        which = f"the last {newest - first}" if first else f"all {newest}"
        what = f"{whose} is intact: {which} entries are as they were written"
        yield Check("audit", "ok", what)


def check_log(config: Config) -> Iterable[Check]:
    """Check that the log file can be written."""
    file = config.log.file
    target = file if os.path.exists(file) else _existing(os.path.dirname(file))
    if os.access(target, os.W_OK):
        yield Check("log", "ok", file)
    else:
        fix = "Change its permissions, or log.file."
        yield Check("log", "fail", f"{file} cannot be written", f"{target} is read-only.", fix)


def check_socket(path: str) -> Iterable[Check]:
    """The socket's path and its directory: short enough, and nobody else's to change."""
    check_socket_path(path)
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        yield Check("socket", "ok", f"{path}; the first start makes its directory")
        return
    found = os.stat(directory)
    mode = f"{stat.S_IMODE(found.st_mode):04o}"
    if found.st_uid not in (os.getuid(), 0):
        why = "Its owner could put a socket of his own there."
        fix = "Set KHIVE_SOCKET to a path in a directory of yours."
        what = f"{directory} belongs to uid {found.st_uid}"
        yield Check("socket", "fail", what, why, fix)
    elif found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        why = "Others could replace the socket."
        fix = f"chmod go-w {directory}"
        yield Check("socket", "fail", f"{directory} has mode {mode}", why, fix)
    else:
        yield Check("socket", "ok", f"{path} (directory mode {mode})")


def check_supervisor(path: str, holds: Holder | None = None) -> Iterable[Check]:
    """Check that a supervisor answers, is of this release, and has all its children.

    `holds` is who has the store's lock: he may be there without a socket.
    """
    try:
        with ControlClient(path) as control:
            status = status_of(control)
    except NotRunning:
        if holds is not None:
            missing = unreachable(holds, path)
            yield Check("supervisor", "fail", missing.message, fix=missing.hint)
        else:
            yield Check("supervisor", "ok", "Not running; the next attach starts it")
        return
    except (Unresponsive, Denied) as error:
        yield Check("supervisor", "fail", error.message, fix=error.hint)
        return
    except VersionMismatch as error:
        fix = "khive-supervisor upgrade"
        yield Check("supervisor", "fail", "It is of another release", error.message, fix)
        return
    yield _children(status)
    yield from _releases(status)


def _children(status: JsonObject) -> Check:
    """Judge a supervisor that answers by its store and its children."""
    what = f"pid {status['pid']}, release {status['version']}, {status['state']}"
    children = status.get("children", ())  # not told to a command of a confined session
    down = [str(c["name"]) for c in children if c["state"] in ("backoff", "fatal")]
    hung = [str(c["name"]) for c in children if c["state"] == "hung"]
    if status.get("store_problem"):
        return Check("supervisor", "fail", what, status["store_problem"])
    if hung:
        why = f"These do not answer: {', '.join(hung)}."
        return Check("supervisor", "fail", what, why, "Wait: they are replaced within seconds.")
    if down:
        why = f"These keep ending: {', '.join(down)}."
        fix = f"khive-supervisor logs ({status['log']}) says why."
        return Check("supervisor", "fail", what, why, fix)
    return Check("supervisor", "ok", what)


def _releases(status: JsonObject) -> Iterable[Check]:
    """Tell of another release that is installed, or that this command is one."""
    upgrade = status.get("upgrade", {})
    running, other = status["version"], upgrade.get("release")
    if other and upgrade["state"] != "current":
        what = f"{other} is installed where {running} runs: {upgrade['state']}"
        why = str(upgrade["problem"]) or f"supervisor.upgrade is {upgrade['policy']}."
        fix = "khive-supervisor upgrade --check says more; without --check it hands over"
        yield Check("release", "warn", what, why, fix)
    elif running != __version__:
        why = (
            f"This command is of {__version__}, the supervisor of {running}; they serve each other."
        )
        fix = "khive-supervisor upgrade hands over to the one of this command"
        yield Check("release", "warn", f"{running} of {status.get('prefix')} runs", why, fix)


def check_clients(cwd: str, environ: Mapping[str, str]) -> Iterable[Check]:
    """Which clients have our entry, and whether what it starts is there."""
    connected = False
    for client in clients.CLIENTS.values():
        files = [clients.configuration_file(client, place, environ) for place in (None, cwd)]
        # In the home directory both are one file.
        for file in {os.path.realpath(file): file for file in reversed(files)}.values():
            for check in _client(client, file):
                connected = True
                yield check
    if not connected:
        fix = f"khive-supervisor connect CLIENT ({', '.join(clients.CLIENTS)})"
        yield Check("clients", "warn", "No client is connected", "None has our entry.", fix)


def _client(client: clients.McpClient, file: str) -> Iterable[Check]:
    if not os.path.exists(file):
        return
    name = f"client {client.name}"
    try:
        entry = clients.present_entry(client, file)
    except KhiveError as error:
        yield Check(name, "warn", error.message, fix=error.hint)
        return
    if entry is None:
        return
    fix = f"khive-supervisor connect {client.name}"
    if not isinstance(entry, dict) or not clients.is_ours(entry):
        what = f'The entry "{clients.NAME}" in {file} starts something else'
        yield Check(name, "warn", what, "This client does not use this supervisor.", fix)
        return
    yield _entry(name, file, entry, fix)


def _entry(name: str, file: str, entry: Mapping[str, object], fix: str) -> Check:
    command = next(iter(clients.words_of(entry)), "")
    if os.sep in command and not os.access(command, os.X_OK):
        return Check(name, "fail", f"{file} starts {command}", "There is no such program.", fix)
    off = entry.get("disabled") is True or entry.get("enabled") is False
    if off:
        return Check(name, "warn", f"{file} has it", "It is switched off there.")
    return Check(name, "ok", f"Connected in {file}")
