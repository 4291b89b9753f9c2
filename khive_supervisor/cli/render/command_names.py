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
    "memory.prune": "prune",
    "memory.purge": "purge",
    "memory.tidy": "tidy",
    "memory.learn_commits": "learn --git",
    "memory.export_records": "export",
    "memory.import_records": "import",
    "knowledge.learn": "learn",
    "knowledge.search": "search",
    "knowledge.suggest": "suggest",
    "knowledge.sync": "learn",
    "knowledge.sources": "learn",
    "knowledge.retire": "learn",
    "projects.list": "projects list",
    "projects.merge": "projects merge",
    "projects.rename": "projects rename",
    "projects.move": "projects move",
    "secrets.scan": "secrets scan",
    "graph.link": "link",
    "graph.unlink": "unlink",
    "graph.neighbors": "neighbors",
    "graph.path": "path",
    "batch.run": "batch",
    "capture.status": "capture",
    "capture.switch": "capture",
    "capture.backfill": "capture --backfill",
    "review.list": "review",
    "review.decide": "review",
    "journal.search": "journal",
    "sessions.list": "sessions",
    "sessions.told": "sessions --told",
    "history.list": "history",
    "history.similar": "similar",
    "history.lineage": "lineage",
    "history.curve": "curve",
    "channels.list": "channels list",
    "channels.log": "channels log",
    "channels.retry": "channels retry",
    "channels.test": "channels test",
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
    "agents.candidates": "candidates",
    "agents.close_breaker": "close-breaker",
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
    "workflow.pause": "pause-schedule",
    "workflow.resume": "resume-schedule",
    "index.status": "index status",
    "index.build": "index build",
    "index.verify": "index verify",
    "system.status": "status",
    "system.audit": "audit show",
    "system.catalog": "catalog",
}

_PACKS = sorted({name.partition(".")[0] for name in COMMANDS})
#: Not in a command line that is whole already.
_VERB = re.compile(
    rf"(?<!khive-supervisor call )(`?)\b({'|'.join(_PACKS)})[._]([a-z][a-z_]*)\b(`?)"
)
#: Verbs that have no command of their own.
CALLED = frozenset(
    (
        "agents.wait", "agents.feedback", "brain.auto_feedback", "brain.event_counts",
        "hooks.command", "hooks.event", "memory.brief",
    )
)  # fmt: skip
#: Arguments that notes name with what is to be given.
_ARGUMENT = re.compile(r"\b(scope|floor) = \"?([a-z0-9.]*[a-z0-9])\"?")


def in_commands(text: str) -> str:
    """A message in which verbs are named by their commands, and arguments by their options."""
    return _ARGUMENT.sub(r"--\1 \2", _VERB.sub(_command, text))


def _command(found: re.Match[str]) -> str:
    verb = f"{found[2]}.{found[3]}"
    if verb in COMMANDS:
        return f"`khive-supervisor {COMMANDS[verb]}`"
    return f"`khive-supervisor call {verb}`" if verb in CALLED else found[0]
