"""All commands: under which heading, in which module, what each does; none is loaded by this."""

# ruff: noqa: E501 - a summary is one line
from __future__ import annotations

import importlib
from collections import UserDict
from typing import Any

import click
from click.shell_completion import CompletionItem

#: Of each heading its commands: the name, the module below `khive_supervisor.cli` that has it among
#: its COMMANDS, and the first sentence of its help (a test compares).
SECTIONS = {
    "Supervisor": (
        "start service.start Start the supervisor; in the foreground this process is it, and takes the signals.",
        "stop service.supervise Stop the supervisor.",
        "status service.supervise Show the supervisor, its processes, the index and the open sessions.",
        "top top.commands Watch what runs now: sessions, roles, tasks and processes; ? shows the keys.",
        "open service.desk Open the page: what runs, what waits for you, and what is known.",
        "logs service.supervise Show the log of the supervisor and all its processes.",
        "upgrade service.upgrade Have this command's release take over from the supervisor that runs.",
        "doctor doctor.doctor Check the installation, the store, the supervisor and the clients; change nothing.",
        "config service.settings The configuration: what is in force, and what it can be.",
    ),
    "Clients": (
        "connect clients.connect Connect an MCP client: write the entry that starts `attach` into its configuration.",
        "attach service.start Serve one MCP session on stdin and stdout (MCP clients run this).",
        "hook service.start Take a hook's event on stdin, and print what its client wants (clients run this).",
        "sessions memories.sessions List the sessions of all clients: project, state, last prompt.",
        "http service.http MCP and the operator's routes over HTTP: where they are, and the token.",
    ),
    "Memories and documents": (
        "remember commands.memory Store one memory: CONTENT, or standard input.",
        "recall commands.memory Find memories by words and by meaning.",
        "search commands.memory Search learned documents by words and by meaning.",
        "suggest commands.memory Name what is worth reading for a task.",
        "get commands.memory Show entries in full.",
        "forget commands.memory Take entries out of every search; --undo brings them back.",
        "supersede commands.memory Replace the memory ENTRY by CONTENT, or standard input.",
        "purge secrets.commands Remove entries for good: those of IDS, or what the filter lets through.",
        "secrets secrets.commands Secrets that the store holds: where they are, and how they get out of it.",
        "projects memories.projects What memories are about: the projects that something is stored for.",
        "link memories.links Link the entry START with END, an entry or, if it is about that, a place in code.",
        "unlink memories.links End the link of KIND from START to END; it is kept as something that was so once.",
        "neighbors memories.links Show what ENTRY is linked with, the nearest first.",
        "path memories.links Show a shortest way along links from START to END.",
        "tidy memories.tidy Show what could be merged or taken out: said twice, said otherwise since, over, or faded.",
        "list curation.browsing List entries by their properties: pinned ones first, then the newest.",
        "tags curation.browsing List tags with the number of live entries that have each.",
        "stats curation.browsing Count what is stored by its properties, and show how large the files are.",
        "edit curation.edit Correct the memory ENTRY in $VISUAL or $EDITOR; what you save supersedes it.",
        "pin curation.browsing Pin entries, so that they are first in lists.",
        "unpin curation.browsing Let go of pinned entries.",
        "prune curation.pruning Take memories out of every search of whose salience almost nothing is left.",
        "export curation.exporting Write the store, or what a filter lets through, to a new FILE or to standard output.",
        "import curation.importing Import an export, or what another program has kept, from a file or folder.",
        "capture memories.capture Show where clients' sessions are captured; turn it on or off; take in those of before.",
        "review memories.review Look through what sessions may have decided: accept, edit or drop each by one key.",
        "journal memories.journal Search what was said and done in sessions: prompts, answers, commands, errors.",
        "undo curation.browsing Undo the last change: what was stored, forgotten, superseded, pinned or moved.",
        "learn commands.learn Learn documents: text, Markdown, JSON Lines or PDF from files, folders or a pipe (-).",
    ),
    "Roles and their tasks": (
        "assign commands.tasks Give a task to a role; PAYLOAD is JSON or text, - takes it from standard input.",
        "tasks commands.tasks List tasks, newest first.",
        "task commands.tasks Show a task: state, result, error, and what happened to it.",
        "history history.commands List what roles have tried, newest first: each attempt that has ended.",
        "similar history.commands Show what was tried on tasks like TEXT, and how it ended.",
        "curve history.commands Show how success, cost and time of what roles tried went from day to day.",
        "lineage history.commands Show what led to TASK (t12, or an execution e3), and what it has led to.",
        "cancel commands.tasks Cancel a task; one that is being done is asked to stop.",
        "retry commands.tasks Queue a task again that failed, died or was cancelled.",
        "workflow workflows.runs Workflows: tasks that wait for each other, for approvals and for times.",
        "approvals workflows.approvals List what waits for an approval.",
        "approve workflows.approvals Give an approval that is asked for: ID is its own (a3), or its task's (t12).",
        "reject workflows.approvals Refuse an approval that is asked for: ID is its own (a3), or its task's (t12).",
        "schedules workflows.schedules List the schedules: when each is due, and what the last time came to.",
        "pause-schedule workflows.schedules Have a schedule begin nothing until resume-schedule, through reloads and restarts, too.",
        "resume-schedule workflows.schedules Have a paused schedule go on; times that have passed meanwhile do not count.",
        "unschedule workflows.schedules Remove a schedule; the runs that it has begun go on.",
        "roles commands.tasks List the roles: whether they serve, what waits for them, and how they do.",
        "candidates routing.commands Show the candidates of roles (or of one ROLE): how each does, and whether it is available.",
        "close-breaker routing.commands Let tasks go to CANDIDATE of ROLE at once, though it was not available a while ago.",
        "budget commands.budget Show what roles (or one ROLE) may spend and have spent, this week and this month.",
        "worktrees commands.worktrees List the directories and worktrees that tasks have left.",
        "reload service.reload Read the configuration again and take over what has changed, as SIGHUP does.",
        "drain-role service.reload Let a role finish what it holds, and take no more tasks; those wait for resume-role.",
        "resume-role service.reload Put a drained role back in service.",
        "capabilities commands.capabilities Capabilities: agents with a prompt of their own, ready to be roles.",
    ),
    "Profiles, which learn what to rank first": (
        "profiles commands.profiles List all profiles with what they have learned.",
        "profile commands.profiles Show one profile: what it learned, and whom it serves.",
        "feedback commands.profiles Say what the entry ID was worth.",
        "create-profile commands.profiles Create a profile that learns its own ranking.",
        "bind commands.profiles Let the profile NAME serve somebody.",
        "unbind commands.profiles Remove bindings: those of NAME and the options.",
        "bindings commands.profiles List who is served by which profile.",
        "resolve commands.profiles Say which profile serves you, and why.",
        "activate commands.profiles Let the profile NAME, which was deactivated, serve again.",
        "deactivate commands.profiles Let the profile NAME serve nothing for now.",
        "archive commands.profiles Put the inactive profile NAME away for good.",
        "reset-profile commands.profiles Take the profile NAME back to its priors; its events stay.",
        "replay commands.profiles Compute profiles again from their events.",
    ),
    "Store, index and all the rest": (
        "backup commands.backup Copy the whole store to a new FILE; sessions go on meanwhile.",
        "rescue commands.backup Save a store whose file was deleted to a new FILE: the supervisor has it open still.",
        "restore commands.backup Replace everything in the store by the backup FILE; what it held is kept beside it.",
        "migrate team.commands Move this machine's store to a team's server, or a team's store to a FILE.",
        "join team.commands Join the team whose store is at URL: postgresql://user@host/database.",
        "leave team.commands Leave the team: its server is named no more, and this machine's own store is used again.",
        "team team.waiting Who may see what of the team's store, what was purged, and which writes wait here.",
        "audit commands.audit What was done to tasks, profiles and the configuration, as a chain of hashes.",
        "channels channels.commands Who is told what happens: [[channels]] of the configuration, and what was sent.",
        "index commands.index The vector index: its state, a new generation, its checksum.",
        "batch memories.batch Run the calls in FILE, or of standard input (-), in one transaction: all of them, or none.",
        "call verbs Run any VERB with ARGUMENTS of the form key=value; prints JSON.",
        "verbs verbs List all verbs, or show the arguments of one.",
        "catalog catalogue.commands Show all that others may rely on: verbs, settings, commands, routes, metrics, events.",
        'completion verbs Print the completion script of a shell: eval "$(khive-supervisor completion bash)".',
    ),
}
#: Of each command its module, and its summary.
MODULES: dict[str, str] = {}
SUMMARIES: dict[str, str] = {}
for _command in (line for lines in SECTIONS.values() for line in lines):
    _name, MODULES[_name], SUMMARIES[_name] = _command.split(" ", 2)


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
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                names = [line.partition(" ")[0] for line in commands]
                formatter.write_dl([(name.ljust(width), SUMMARIES[name]) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands whose names begin so, and this group's own options."""
        named = [
            CompletionItem(name, help=click.Command(name, help=summary).get_short_help_str())
            for name, summary in sorted(SUMMARIES.items())
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]
