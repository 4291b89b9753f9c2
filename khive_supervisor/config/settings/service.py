"""The settings of the service itself: store, supervisor, sessions, tasks, log; see `model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from khive_supervisor.config.settings.values import users_own
from khive_supervisor.host import paths

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
    """The durable store: one SQLite file, or a team's, of which this machine has a copy in one."""

    path: str = users_own(
        lambda: paths.data_home() + "/khive.db",
        "path",
        "The database file; the index lies beside it. `~` is the home directory; a relative "
        "path is relative to the configuration file.",
        shown_default="$XDG_DATA_HOME/khive/khive.db (~/.local/share/khive/khive.db)",
    )
    url: str = users_own(
        "",
        "text",
        "A PostgreSQL server that holds the store of a team, as postgresql://user@host/database; "
        "this machine keeps a replica in a directory of its own beside `path`. A password "
        "belongs into ~/.pgpass or a service file.",
        bounds=(0, 2000),
        optional=True,
        private=True,
    )
    reads: Literal["replica", "newest"] = users_own(
        "replica",
        "text",
        "In a team: what a call reads. `replica`: what is on this machine, which is what others "
        "wrote some hundredths of a second ago, or what was there when the server was last "
        "reached. `newest`: a call first waits until this machine has all that the server has, "
        "`busy_timeout` at most, and fails if the server cannot be asked.",
        applies="session",
        choices=("replica", "newest"),
    )
    away: Literal["refuse", "wait"] = users_own(
        "refuse",
        "text",
        "In a team: what becomes of what sessions write of memories while the server is away. "
        "`refuse`: it fails at once, and nothing is stored. `wait`: it is kept on this machine, "
        "and stored in its order once the server is back. Tasks, budgets and schedules never "
        "wait.",
        applies="session",
        choices=("refuse", "wait"),
    )
    allow_network_filesystem: bool = users_own(
        False,
        "boolean",
        "Open the store on a network filesystem although its locks may not hold there; "
        "SQLite's log needs the shared memory of one host.",
    )
    busy_timeout: float = users_own(
        10.0,
        "duration",
        "How long a write waits for another process's write before it fails as temporary.",
        applies="session",
        bounds=(0.1, 10 * _MINUTE),
    )
    max_content_bytes: int = users_own(
        256 * _KIB,
        "size",
        "The longest content of one memory or knowledge entry, in UTF-8.",
        applies="session",
        bounds=(_KIB, 4 * _MIB),
    )


@dataclass(frozen=True, slots=True)
class SecretSettings:
    """What becomes of secrets in texts that would be kept."""

    mode: Literal["refuse", "mask", "off"] = users_own(
        "refuse",
        "text",
        "What becomes of a secret in what would be kept: memories and payloads that hold one are "
        "refused, and what programs write (documents, results, logs of tasks) is masked; or mask "
        "it everywhere; or keep it.",
        applies="session",
        choices=("refuse", "mask", "off"),
    )


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """The supervisor process and how it treats its children."""

    worker_start: Literal["auto", "fork", "exec"] = users_own(
        "auto",
        "text",
        "How session workers start: forked from a process that has everything loaded, or as "
        "fresh interpreters; auto forks on Linux only, where it is safe.",
        choices=("auto", "fork", "exec"),
        supervisor_only=True,
    )
    restart_backoff: float = users_own(
        0.5,
        "duration",
        "The wait before a child that died is started again; doubled at each death.",
        applies="live",
        bounds=(0.01, _HOUR),
        supervisor_only=True,
    )
    restart_backoff_max: float = users_own(
        30.0,
        "duration",
        "The longest wait between restarts; at least restart_backoff.",
        applies="live",
        bounds=(0.01, _DAY),
        supervisor_only=True,
    )
    restart_limit: int = users_own(
        5,
        "integer",
        "Deaths of one child within restart_window after which it is left down.",
        applies="live",
        bounds=(1, 1000),
        supervisor_only=True,
    )
    restart_window: float = users_own(
        60.0,
        "duration",
        "The time in which deaths are counted against restart_limit.",
        applies="live",
        bounds=(1, _DAY),
        supervisor_only=True,
    )
    stop_timeout: float = users_own(
        5.0,
        "duration",
        "How long a child may take to end when asked to, before it is killed.",
        applies="live",
        bounds=(0.1, _HOUR),
        supervisor_only=True,
    )
    checkpoint_interval: float = users_own(
        5.0,
        "duration",
        "How often the write-ahead log is copied back into the database.",
        applies="live",
        bounds=(0.1, _HOUR),
        supervisor_only=True,
    )
    poll_interval: float = users_own(
        2.0,
        "duration",
        "How often the store is looked at whether file events come or not: how late an idle "
        "session hears of a change when they do not.",
        applies="live",
        bounds=(0.05, _HOUR),
        supervisor_only=True,
    )
    upgrade: Literal["auto", "ask", "off"] = users_own(
        "auto",
        "text",
        "What is done when a newer release is installed in place: it takes over by itself, or "
        "`status`, `doctor` and new sessions say so and `khive-supervisor upgrade` does it, or "
        "nothing is said.",
        applies="live",
        choices=("auto", "ask", "off"),
        supervisor_only=True,
    )
    wal_truncate_bytes: int = users_own(
        16 * _MIB,
        "size",
        "The size of the write-ahead log at which it is also cut back to nothing.",
        applies="live",
        bounds=(64 * _KIB, 16 * _GIB),
        supervisor_only=True,
    )


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What an attached session sees and sends."""

    namespace: str = users_own(
        "default",
        "text",
        "The namespace of a session that names none; must match allowed_namespaces.",
        applies="session",
        bounds=(1, 128),
        pattern=_NAMESPACE,
        form="without spaces, *, ? and brackets",
    )
    allowed_namespaces: tuple[str, ...] = users_own(
        ("*",),
        "list",
        "Patterns (`*`, `?`, `[…]`) of the namespaces that sessions may use.",
        applies="session",
        bounds=(1, 1000),
    )
    operator_paths: tuple[str, ...] = users_own(
        (),
        "list",
        "Directories whose sessions are an operator's, with all that is below them; in all "
        "others an MCP session has the verbs of agents.",
        applies="session",
        bounds=(None, 100),
        pattern=r"(/|~/|~$).*",
        form="each absolute or ~/; *, ? and [...] within a name, ** for folders",
        supervisor_only=True,
    )
    env_allow: tuple[str, ...] = users_own(
        ENVIRONMENT_ALLOWED,
        "list",
        "Names of the environment variables that attach forwards to its session; no others "
        "leave the client.",
        applies="session",
        bounds=(None, 100),
        pattern=_VARIABLE,
        form="each the name of an environment variable",
    )
    max_line_bytes: int = users_own(
        8 * _MIB,
        "size",
        "The longest message that an MCP client may send; a longer one is answered with an "
        "error and skipped.",
        applies="session",
        bounds=(64 * _KIB, 256 * _MIB),
    )


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """Tasks that have ended."""

    keep: float = users_own(
        30 * _DAY,
        "duration",
        "How long a task that has ended is kept, with its result and its log; what a role's "
        "record says of it stays.",
        applies="live",
        bounds=(_HOUR, 3650 * _DAY),
        supervisor_only=True,
    )


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """What is kept of clients' sessions."""

    keep: float = users_own(
        90 * _DAY,
        "duration",
        "How long the journal of a client's session is kept: prompts, commands, errors, answers. "
        "What was learned from it stays.",
        applies="live",
        bounds=(_HOUR, 3650 * _DAY),
        supervisor_only=True,
    )


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """What roles have tried: each attempt that has ended."""

    keep: float = users_own(
        400 * _DAY,
        "duration",
        "How long an attempt that has ended is kept as an execution, for `history`, `similar` and "
        "the selection of roles; longer than its task, whose result and log go with tasks.keep.",
        applies="live",
        bounds=(_HOUR, 3650 * _DAY),
        supervisor_only=True,
    )


@dataclass(frozen=True, slots=True)
class HookSettings:
    """What hooks put into the context of clients' sessions, in tokens; 0: nothing."""

    start_tokens: int = users_own(
        400,
        "integer",
        "The longest brief at the start of a session, and after its context was cleared or "
        "compacted.",
        applies="session",
        bounds=(0, 4000),
    )
    prompt_tokens: int = users_own(
        300,
        "integer",
        "The most that is put beside a prompt; nothing, if nothing that is stored fits it.",
        applies="session",
        bounds=(0, 4000),
    )
    error_tokens: int = users_own(
        150,
        "integer",
        "The most that is told of an error that was met before.",
        applies="session",
        bounds=(0, 4000),
    )


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """The chain of hashes over what was done; see audit.md."""

    enabled: bool = users_own(
        True,
        "boolean",
        "Record every change of tasks, profiles and the configuration, and what the supervisor "
        "was told to do. That it was switched off is recorded at the next start.",
    )


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What roles that name a capability are made with."""

    command: tuple[str, ...] = users_own(
        ("claude", "-p"),
        "command",
        "The coding agent's program, and arguments of yours, that capabilities are run by: "
        "the `handler.agent` of their roles.",
        applies="live",
        bounds=(1, 1000),
        supervisor_only=True,
    )
    capabilities: str = users_own(
        lambda: paths.config_home() + "/capabilities",
        "path",
        "The directory of your own capabilities, each a `.toml` file. `~` and relative paths "
        "as in store.path.",
        applies="live",
        shown_default="$XDG_CONFIG_HOME/khive/capabilities (~/.config/khive/capabilities)",
        supervisor_only=True,
    )
    login_shell: str = users_own(
        "auto",
        "text",
        "The login shell whose environment roles get, so that it is not that of whichever "
        "client started the supervisor: yours (auto), none (off), or a program.",
        applies="live",
        pattern=r"auto|off|/[^\x00]+",
        form="auto, off, or an absolute path",
        supervisor_only=True,
    )
    path: tuple[str, ...] = users_own(
        (),
        "list",
        "Directories that roles look for programs in before all others.",
        applies="live",
        bounds=(None, 100),
        pattern=r"(/|~/|~$)[^\x00:]*",
        form="each an absolute path, or one that begins with ~/",
        supervisor_only=True,
    )
    roots: tuple[str, ...] = users_own(
        (),
        "list",
        "Directories below which tasks may be done beside the caller's own project, for roles "
        "that work in the caller's directory or in a worktree of it.",
        applies="session",
        bounds=(None, 100),
        pattern=r"(/|~/|~$)[^\x00]*",
        form="each an absolute path, or one that begins with ~/",
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log that the supervisor writes for all its processes."""

    level: Literal["debug", "info", "warning", "error"] = users_own(
        "info",
        "text",
        "The least severe events that are logged.",
        applies="live",
        choices=("debug", "info", "warning", "error"),
    )
    file: str = users_own(
        lambda: paths.state_home() + "/khive.log",
        "path",
        "The log file: one JSON object a line. `~` and relative paths as in store.path.",
        shown_default="$XDG_STATE_HOME/khive/khive.log (~/.local/state/khive/khive.log)",
        supervisor_only=True,
    )
    max_bytes: int = users_own(
        10 * _MIB,
        "size",
        "The size at which the log file is rotated.",
        bounds=(64 * _KIB, _GIB),
        supervisor_only=True,
    )
    backups: int = users_own(
        3,
        "integer",
        "Rotated log files that are kept.",
        bounds=(1, 100),
        supervisor_only=True,
    )
