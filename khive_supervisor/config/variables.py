"""Every environment variable that is read, and whose word it is.

A client's project settings can set variables, so each needs a decision; a test fails for one that
has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: "place": it counts unless it leads into the project that the session works in.
#: "session": it changes nothing but the session or command that has it.
#: "narrow": it can only take away from what the session or command may do.
#: "start": it is harmless in all sessions, should its client start the supervisor.
#: "named": only what the user's configuration names is read.
#: "ours": the supervisor sets it for its children; a client's is not read.
#: "client": another program's own, read by `connect` and `doctor` alone.
#: "system": the system's; who can set it for a process decides what that runs anyway.
VariableTrust = Literal["place", "session", "narrow", "start", "named", "ours", "client", "system"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: its name, its trust, and what it decides."""

    name: str
    trust: VariableTrust
    help: str


VARIABLES = (
    Variable("KHIVE_CONFIG", "place", "the configuration"),
    Variable("KHIVE_STORE", "place", "`store.path` (a relative path starts from the directory)"),
    Variable("KHIVE_STORE_URL", "place", "`store.url`; not read in a project's directory"),
    Variable("KHIVE_SOCKET", "place", "the supervisor's socket"),
    Variable("XDG_CONFIG_HOME", "place", "the directory of your configuration"),
    Variable("XDG_DATA_HOME", "place", "the directory of the store"),
    Variable("XDG_STATE_HOME", "place", "the directory of the socket, the log and worktrees"),
    Variable("HOME", "place", "your home directory, by which the others default"),
    Variable("KHIVE_NAMESPACE", "session", "`session.namespace`, within the allowed ones"),
    Variable("KHIVE_ACTOR", "session", "who asks, for profiles and the record"),
    Variable("CLAUDE_CODE_SESSION_ID", "session", "who asks, if KHIVE_ACTOR does not say"),
    Variable("CLAUDE_PROJECT_DIR", "narrow", "the project, for what is confined by its directory"),
    Variable("CLAUDE_CODE_ENTRYPOINT", "session", "forwarded to the session's worker, not read"),
    Variable("CLAUDECODE", "narrow", "whether an agent has started it"),
    Variable("KHIVE_CONFINE", "narrow", "the namespace that it is confined to"),
    Variable("KHIVE_NO_DAEMON", "session", "whether it is served without a supervisor"),
    Variable("KHIVE_DEBUG", "session", "whether a failure of the log itself is shown"),
    Variable("KHIVE_LOG_LEVEL", "start", "`log.level`"),
    Variable("KHIVE_RESOLVED_CONFIG", "ours", "the configuration as children get it"),
    Variable("KHIVE_TASK_ID", "ours", "the task of a handler"),
    Variable("KHIVE_TASK_ATTEMPT", "ours", "which attempt at it"),
    Variable("KHIVE_ROLE", "ours", "the role of a handler"),
    Variable("KHIVE_HISTORY", "ours", "what was tried before on tasks like a handler's"),
    Variable("KHIVE_TASK_WORKER", "ours", "by which what a task left behind is found"),
    Variable("KHIVE_EVENT", "ours", "the kind of event that a channel's command is told of"),
    Variable("KHIVE_EVENT_ID", "ours", "the key by which it knows a repetition"),
    Variable("KHIVE_LOGIN_SHELL", "ours", "that a login shell is asked for its environment"),
    Variable("CLAUDE_CONFIG_DIR", "client", "Claude Code's directory"),
    Variable("CODEX_HOME", "client", "Codex's directory"),
    Variable("TZ", "session", "the zone in which a question's dates and times are meant"),
    Variable("PATH", "system", "where programs are"),
    Variable("PYTHONPATH", "system", "where Python's modules are, for `upgrade`"),
    Variable("COLUMNS", "system", "how wide a line is"),
    Variable("TERM", "system", "whether colours are shown"),
    Variable("NO_COLOR", "system", "whether colours are shown"),
)
