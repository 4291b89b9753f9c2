"""All commands: under which heading, in which module, what each does; none is loaded by this."""

# ruff: noqa: E501 - a summary is one line
from __future__ import annotations

import importlib
from collections import UserDict
from typing import Any

import click
from click.shell_completion import CompletionItem

#: Of each heading, the modules below `khive_supervisor.cli`, and of each the commands that are in
#: its COMMANDS with their summaries: the first sentence of their help (a test compares).
SECTIONS: dict[str, dict[str, dict[str, str]]] = {
    "Supervisor": {
        "service.start": {
            "start": "Start the supervisor; in the foreground this process is it, and takes the signals."
        },
        "service.supervise": {
            "stop": "Stop the supervisor.",
            "status": "Show the supervisor, its processes, the index and the open sessions.",
            "logs": "Show the log of the supervisor and all its processes.",
        },
        "service.upgrade": {
            "upgrade": "Have this command's release take over from the supervisor that runs."
        },
        "doctor.doctor": {
            "doctor": "Check the installation, the store, the supervisor and the clients; change nothing."
        },
        "service.settings": {"config": "The configuration: what is in force."},
    },
    "Clients": {
        "clients.connect": {
            "connect": "Connect an MCP client: write the entry that starts `attach` into its configuration."
        },
        "service.start": {
            "attach": "Serve one MCP session on stdin and stdout (MCP clients run this)."
        },
        "service.http": {
            "http": "MCP and the operator's routes over HTTP: where they are, and the token."
        },
    },
    "Memories and documents": {
        "commands.memory": {
            "remember": "Store one memory: CONTENT, or standard input.",
            "recall": "Find memories by words and by meaning.",
            "search": "Search learned documents by words and by meaning.",
            "suggest": "Name what is worth reading for a task.",
            "get": "Show entries in full.",
            "forget": "Take entries out of every search; --undo brings them back.",
            "supersede": "Replace the memory ENTRY by CONTENT, or standard input.",
        },
        "commands.learn": {
            "learn": "Learn documents: text, Markdown, JSON Lines or PDF from files, folders or a pipe (-)."
        },
    },
    "Roles and their tasks": {
        "commands.tasks": {
            "assign": "Give a task to a role; PAYLOAD is JSON or text, - takes it from standard input.",
            "tasks": "List tasks, newest first.",
            "task": "Show a task: state, result, error, and what happened to it.",
            "cancel": "Cancel a task; one that is being done is asked to stop.",
            "retry": "Queue a task again that failed, died or was cancelled.",
            "roles": "List the roles: whether they serve, what waits for them, and how they do.",
        },
        "commands.budget": {
            "budget": "Show what roles (or one ROLE) may spend and have spent, this week and this month."
        },
        "commands.worktrees": {
            "worktrees": "List the directories and git worktrees that tasks have left."
        },
        "service.reload": {
            "reload": "Read the configuration again and take over what has changed, as SIGHUP does.",
            "drain-role": "Let a role finish what it holds, and take no more tasks; those wait for resume-role.",
            "resume-role": "Put a drained role back in service.",
        },
        "commands.capabilities": {
            "capabilities": "Capabilities: agents with a prompt of their own, ready to be roles."
        },
    },
    "Profiles, which learn what to rank first": {
        "commands.profiles": {
            "profiles": "List all profiles with what they have learned.",
            "profile": "Show one profile: what it learned, and whom it serves.",
            "feedback": "Say what the entry ID was worth.",
            "create-profile": "Create a profile that learns its own ranking.",
            "bind": "Let the profile NAME serve somebody.",
            "unbind": "Remove bindings: those of NAME and the options.",
            "bindings": "List who is served by which profile.",
            "resolve": "Say which profile serves you, and why.",
            "activate": "Let the profile NAME, which was deactivated, serve again.",
            "deactivate": "Let the profile NAME serve nothing for now.",
            "archive": "Put the inactive profile NAME away for good.",
            "reset-profile": "Take the profile NAME back to its priors; its events stay.",
            "replay": "Compute profiles again from their events.",
        },
    },
    "Store, index and all the rest": {
        "commands.backup": {
            "backup": "Copy the whole store to a new FILE; sessions go on meanwhile.",
            "rescue": "Save a store whose file was deleted to a new FILE: the supervisor has it open still.",
            "restore": "Replace everything in the store by the backup FILE; what it held is kept beside it.",
        },
        "commands.audit": {
            "audit": "What was done to tasks, profiles and the configuration, as a chain of hashes."
        },
        "commands.index": {"index": "The vector index: its state, a new generation, its checksum."},
        "verbs": {
            "call": "Run any VERB with ARGUMENTS of the form key=value; prints JSON.",
            "verbs": "List all verbs, or show the arguments of one.",
            "completion": 'Print the completion script of a shell: eval "$(khive-supervisor completion bash)".',
        },
    },
}
#: Of each command its module, and its summary.
MODULES = {
    name: module
    for modules in SECTIONS.values()
    for module, commands in modules.items()
    for name in commands
}
SUMMARIES = {
    name: summary
    for modules in SECTIONS.values()
    for commands in modules.values()
    for name, summary in commands.items()
}


class CommandsByName(UserDict[str, Any]):
    """The commands by their names; the module of each is imported when it is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        module = importlib.import_module(f"khive_supervisor.cli.{self.data[name]}")
        found: click.Command = next(one for one in module.COMMANDS if one.name == name)
        return found


class CommandTable(click.Group):
    """The group of all commands; its help and its completion are made of the table."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": CommandsByName(MODULES)})

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click calls it so
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the summaries, each section below its heading; one width is for all."""
        width = max(map(len, MODULES))
        for title, modules in SECTIONS.items():
            with formatter.section(title):
                names = [name for commands in modules.values() for name in commands]
                formatter.write_dl([(name.ljust(width), SUMMARIES[name]) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands whose names begin so, and this group's own options."""
        named = [
            CompletionItem(name, help=click.Command(name, help=summary).get_short_help_str())
            for name, summary in sorted(SUMMARIES.items())
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]
