"""Every setting, declared once: its type, default, bounds and meaning.

Validation, `config show`, docs/settings.md and its test all read these declarations. A `Config` is
immutable and complete: code reads `config.store.busy_timeout` and never asks for a default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal

from khive_supervisor import paths
from khive_supervisor.config.roles import Role
from khive_supervisor.config.values import Setting, declare

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
#: Environment variables that a client's session is known by, and ours; no credential among them.
ENVIRONMENT_ALLOWED = (
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_PROJECT_DIR",
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "KHIVE_NAMESPACE",
    "KHIVE_ACTOR",
)
_NAMESPACE = r"[^\s\x00-\x1f*?\[\]]+"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The durable store: one SQLite file."""

    path: str = declare(
        lambda: paths.data_home() + "/khive.db",
        Setting(
            "path",
            "The database file; the index lies beside it. `~` is the home directory; a relative "
            "path is relative to the configuration file.",
            shown_default="$XDG_DATA_HOME/khive/khive.db (~/.local/share/khive/khive.db)",
        ),
    )
    allow_network_filesystem: bool = declare(
        False,
        Setting(
            "boolean",
            "Open the store on a network filesystem although its locks may not hold there; "
            "SQLite's log needs the shared memory of one host.",
        ),
    )
    busy_timeout: float = declare(
        10.0,
        Setting(
            "duration",
            "How long a write waits for another process's write before it fails as temporary.",
            applies="session",
            minimum=0.1,
            maximum=10 * _MINUTE,
        ),
    )
    max_content_bytes: int = declare(
        256 * _KIB,
        Setting(
            "size",
            "The longest content of one memory or knowledge entry, in UTF-8.",
            applies="session",
            minimum=_KIB,
            maximum=4 * _MIB,
        ),
    )


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """The supervisor process and how it treats its children."""

    worker_start: Literal["auto", "fork", "exec"] = declare(
        "auto",
        Setting(
            "text",
            "How session workers start: forked from a process that has everything loaded, or as "
            "fresh interpreters; auto forks on Linux only, where it is safe.",
            choices=("auto", "fork", "exec"),
            supervisor_only=True,
        ),
    )
    restart_backoff: float = declare(
        0.5,
        Setting(
            "duration",
            "The wait before a child that died is started again; doubled at each death.",
            applies="live",
            minimum=0.01,
            maximum=_HOUR,
            supervisor_only=True,
        ),
    )
    restart_backoff_max: float = declare(
        30.0,
        Setting(
            "duration",
            "The longest wait between restarts; at least restart_backoff.",
            applies="live",
            minimum=0.01,
            maximum=_DAY,
            supervisor_only=True,
        ),
    )
    restart_limit: int = declare(
        5,
        Setting(
            "integer",
            "Deaths of one child within restart_window after which it is left down.",
            applies="live",
            minimum=1,
            maximum=1000,
            supervisor_only=True,
        ),
    )
    restart_window: float = declare(
        60.0,
        Setting(
            "duration",
            "The time in which deaths are counted against restart_limit.",
            applies="live",
            minimum=1,
            maximum=_DAY,
            supervisor_only=True,
        ),
    )
    stop_timeout: float = declare(
        5.0,
        Setting(
            "duration",
            "How long a child may take to end when asked to, before it is killed.",
            applies="live",
            minimum=0.1,
            maximum=_HOUR,
            supervisor_only=True,
        ),
    )
    checkpoint_interval: float = declare(
        5.0,
        Setting(
            "duration",
            "How often the write-ahead log is copied back into the database.",
            applies="live",
            minimum=0.1,
            maximum=_HOUR,
            supervisor_only=True,
        ),
    )
    poll_interval: float = declare(
        2.0,
        Setting(
            "duration",
            "How often the store is looked at whether file events come or not: how late an idle "
            "session hears of a change when they do not.",
            applies="live",
            minimum=0.05,
            maximum=_HOUR,
            supervisor_only=True,
        ),
    )
    wal_truncate_bytes: int = declare(
        16 * _MIB,
        Setting(
            "size",
            "The size of the write-ahead log at which it is also cut back to nothing.",
            applies="live",
            minimum=64 * _KIB,
            maximum=16 * _GIB,
            supervisor_only=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What an attached session sees and sends."""

    namespace: str = declare(
        "default",
        Setting(
            "text",
            "The namespace of a session that names none; must match allowed_namespaces.",
            applies="session",
            minimum=1,
            maximum=128,
            pattern=_NAMESPACE,
            form="without spaces, *, ? and brackets",
        ),
    )
    allowed_namespaces: tuple[str, ...] = declare(
        ("*",),
        Setting(
            "list",
            "Patterns (`*`, `?`, `[…]`) of the namespaces that sessions may use.",
            applies="session",
            minimum=1,
            maximum=1000,
        ),
    )
    env_allow: tuple[str, ...] = declare(
        ENVIRONMENT_ALLOWED,
        Setting(
            "list",
            "Names of the environment variables that attach forwards to its session; no others "
            "leave the client.",
            applies="session",
            maximum=100,
            pattern=_VARIABLE,
            form="each the name of an environment variable",
        ),
    )
    max_line_bytes: int = declare(
        8 * _MIB,
        Setting(
            "size",
            "The longest message that an MCP client may send; a longer one is answered with an "
            "error and skipped.",
            applies="session",
            minimum=64 * _KIB,
            maximum=256 * _MIB,
        ),
    )


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """Where texts become vectors."""

    kind: Literal["minilm", "openai", "none"] = declare(
        "minilm",
        Setting(
            "text",
            "The bundled model (all-MiniLM-L6-v2), an OpenAI-compatible endpoint, or none: "
            "search is full text only then.",
            choices=("minilm", "openai", "none"),
        ),
    )
    threads: int = declare(
        1,
        Setting(
            "integer",
            "Threads of the bundled model; one answers a query in 1-2 ms.",
            minimum=1,
            maximum=64,
        ),
    )
    url: str = declare(
        "",
        Setting(
            "text",
            "The endpoint's base, such as http://127.0.0.1:11434/v1; needed by openai.",
            maximum=2000,
            pattern=r"https?://[^\s/@?#]+(/[^\s@?#]*)?",
            form="http:// or https://, without credentials",
            optional=True,
            private=True,
        ),
    )
    model: str = declare(
        "",
        Setting(
            "text",
            "The endpoint's name of the model; needed by openai.",
            maximum=200,
            optional=True,
        ),
    )
    dimensions: int = declare(
        0,
        Setting(
            "integer",
            "The length of the endpoint's vectors; needed by openai. The bundled model has 384.",
            minimum=0,
            maximum=8192,
        ),
    )
    api_key_env: str = declare(
        "",
        Setting(
            "text",
            "The name of the environment variable that holds the endpoint's key; the key itself "
            "is never in the configuration.",
            maximum=200,
            pattern=_VARIABLE,
            form="the name of an environment variable, not the key",
            optional=True,
            private=True,
        ),
    )
    timeout: float = declare(
        10.0,
        Setting(
            "duration",
            "How long one batch of texts may take; search goes on with full text after it.",
            applies="session",
            minimum=0.05,
            maximum=10 * _MINUTE,
        ),
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The nearest-neighbour index and when its next generation is built."""

    rebuild_share: float = declare(
        0.05,
        Setting(
            "number",
            "Build the next generation when this share of the vectors is newer than the index.",
            applies="live",
            minimum=0.001,
            maximum=1,
        ),
    )
    rebuild_minimum: int = declare(
        1000,
        Setting(
            "integer",
            "But not before this many vectors are newer: so many are searched exactly in no time.",
            applies="live",
            minimum=1,
            maximum=1_000_000,
        ),
    )
    trees: int = declare(
        50,
        Setting(
            "integer",
            "Trees of a generation: more find more and take more disk and building time.",
            applies="live",
            minimum=1,
            maximum=1000,
        ),
    )
    search_k: int = declare(
        0,
        Setting(
            "integer",
            "Nodes of the trees that one search inspects: more find more and take longer; 0 "
            "chooses by itself, and scans a small index instead.",
            applies="session",
            minimum=0,
            maximum=10_000_000,
        ),
    )


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How results are found and ranked; the weight of relevance is what the others leave of 1."""

    candidates: int = declare(
        100,
        Setting(
            "integer",
            "Results that full text and meaning each contribute before they are merged.",
            applies="session",
            minimum=10,
            maximum=1000,
        ),
    )
    max_query_characters: int = declare(
        20_000,
        Setting(
            "integer",
            "The longest query; a longer one is refused.",
            applies="session",
            minimum=100,
            maximum=1_000_000,
        ),
    )


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """What profiles learn from."""

    implicit_feedback: bool = declare(
        True,
        Setting(
            "boolean",
            "Learn from what agents do with what they recalled: reading, citing, correcting it.",
            applies="session",
        ),
    )


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """Tasks that have ended."""

    keep: float = declare(
        30 * _DAY,
        Setting(
            "duration",
            "How long a task that has ended is kept, with its result and its log; what a role's "
            "record says of it stays.",
            applies="live",
            minimum=_HOUR,
            maximum=3650 * _DAY,
            supervisor_only=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log that the supervisor writes for all its processes."""

    level: Literal["debug", "info", "warning", "error"] = declare(
        "info",
        Setting(
            "text",
            "The least severe events that are logged.",
            applies="live",
            choices=("debug", "info", "warning", "error"),
        ),
    )
    file: str = declare(
        lambda: paths.state_home() + "/khive.log",
        Setting(
            "path",
            "The log file: one JSON object a line. `~` and relative paths as in store.path.",
            shown_default="$XDG_STATE_HOME/khive/khive.log (~/.local/state/khive/khive.log)",
            supervisor_only=True,
        ),
    )
    max_bytes: int = declare(
        10 * _MIB,
        Setting(
            "size",
            "The size at which the log file is rotated.",
            minimum=64 * _KIB,
            maximum=_GIB,
            supervisor_only=True,
        ),
    )
    backups: int = declare(
        3,
        Setting(
            "integer",
            "Rotated log files that are kept.",
            minimum=1,
            maximum=100,
            supervisor_only=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; `Config()` is what a user without a file has."""

    store: StoreSettings = field(default_factory=StoreSettings)
    supervisor: SupervisorSettings = field(default_factory=SupervisorSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    embedder: EmbedderSettings = field(default_factory=EmbedderSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    profiles: ProfileSettings = field(default_factory=ProfileSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    log: LogSettings = field(default_factory=LogSettings)
    roles: tuple[Role, ...] = ()

    def role(self, name: str) -> Role | None:
        """The role of a name, if there is one."""
        return next((role for role in self.roles if role.role == name), None)


#: The tables of the file and their dataclasses, in the order in which they are documented.
TABLES: dict[str, type[Any]] = {
    "store": StoreSettings,
    "supervisor": SupervisorSettings,
    "session": SessionSettings,
    "embedder": EmbedderSettings,
    "index": IndexSettings,
    "search": SearchSettings,
    "profiles": ProfileSettings,
    "tasks": TaskSettings,
    "log": LogSettings,
}


def settings_of(table: str) -> dict[str, Setting]:
    """The declarations of one table by name, in order."""
    return {item.name: item.metadata["setting"] for item in fields(TABLES[table])}


def every_setting() -> Iterator[tuple[str, str, Setting]]:
    """(table, name, declaration) of every setting, in order."""
    for table in TABLES:
        for name, setting in settings_of(table).items():
            yield table, name, setting


def default_of(table: str, name: str) -> Any:
    """The default of one setting in the present environment."""
    return _default(next(item for item in fields(TABLES[table]) if item.name == name))


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()
