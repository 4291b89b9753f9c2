"""Verbs by the names that people run them by: an error on the command line names a command."""

from __future__ import annotations

import re

#: The command that does what a verb does; a verb without one is run by `call`.
COMMANDS = {
    "memory.remember": "remember",
    "memory.recall": "recall",
    "memory.get": "get",
    "memory.forget": "forget",
    "memory.restore": "forget --undo",
    "memory.supersede": "supersede",
    "memory.list": "list",
    "memory.tags": "tags",
    "memory.stats": "stats",
    "memory.pin": "pin",
    "memory.forget_matching": "forget",
    "memory.changes": "undo --list",
    "memory.undo": "undo",
    "memory.export_records": "export",
    "memory.import_records": "import",
    "knowledge.learn": "learn",
    "knowledge.search": "search",
    "knowledge.suggest": "suggest",
    "brain.feedback": "feedback",
    "brain.profiles": "profiles",
    "brain.profile": "profile",
    "brain.create_profile": "create-profile",
    "brain.resolve": "resolve",
    "brain.bind": "bind",
    "brain.unbind": "unbind",
    "brain.bindings": "bindings",
    "brain.activate": "activate",
    "brain.deactivate": "deactivate",
    "brain.archive": "archive",
    "brain.reset": "reset-profile",
    "brain.replay": "replay",
    "agents.assign": "assign",
    "agents.task": "task",
    "agents.tasks": "tasks",
    "agents.follow": "tasks --follow",
    "agents.cancel": "cancel",
    "agents.retry": "retry",
    "agents.budget": "budget",
    "agents.roles": "roles",
    "workflow.run": "workflow run",
    "workflow.dry_run": "workflow dry-run",
    "workflow.list": "workflow list",
    "workflow.show": "workflow show",
    "workflow.cancel": "workflow cancel",
    "workflow.retry": "workflow retry",
    "workflow.approvals": "approvals",
    "workflow.approve": "approve",
    "workflow.reject": "reject",
    "workflow.schedules": "schedules",
    "workflow.unschedule": "unschedule",
    "index.status": "index status",
    "index.build": "index build",
    "index.verify": "index verify",
    "system.status": "status",
    "system.audit": "audit show",
}

_PACKS = sorted({name.partition(".")[0] for name in COMMANDS})
#: Not in a command line that is whole already.
_VERB = re.compile(
    rf"(?<!khive-supervisor call )(`?)\b({'|'.join(_PACKS)})[._]([a-z][a-z_]*)\b(`?)"
)
#: Verbs that have no command of their own, and are named in what is said to people.
_CALLED = {"agents.wait", "agents.feedback", "brain.auto_feedback", "brain.event_counts"}


def in_commands(text: str) -> str:
    """A message in which verbs are named by their commands."""
    return _VERB.sub(_command, text)


def _command(found: re.Match[str]) -> str:
    verb = f"{found[2]}.{found[3]}"
    if verb in COMMANDS:
        return f"`khive-supervisor {COMMANDS[verb]}`"
    return f"`khive-supervisor call {verb}`" if verb in _CALLED else found[0]
