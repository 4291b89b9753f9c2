"""`connect`: put the supervisor into an MCP client's configuration, or take it out."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence

import click

from khive_supervisor.cli.clients import clients
from khive_supervisor.cli.clients.hook_change import HookChange
from khive_supervisor.cli.render import output
from khive_supervisor.errors import InvalidInput
from khive_supervisor.host import paths, repository
from khive_supervisor.text.plain_json import JsonObject

_DONE = {
    "added": "Added to",
    "updated": "Updated in",
    "unchanged": "Already in",
    "removed": "Removed from",
    "absent": "Not in",
}


@click.command("connect")
@click.argument("client", type=click.Choice(list(clients.CLIENTS)), metavar="CLIENT")
@click.option("--print", "only_print", is_flag=True, help="Print the entry; change nothing.")
@click.option("--project", is_flag=True, help="In this directory's project, not for all projects.")
@click.option(
    "--config",
    "files",
    multiple=True,
    metavar="PATH",
    type=click.Path(dir_okay=False),
    help="Edit this file of the client instead of its usual one (repeatable).",
)
@click.option("--remove", is_flag=True, help="Take the entry out again.")
@click.option(
    "--hooks/--no-hooks",
    default=None,
    help="Have the client tell of its sessions, and be told what fits; or no longer.",
)
@click.option("--approve", is_flag=True, help="Codex: let it use all tools without asking.")
@output.as_json_option
def connect(
    client: str,
    only_print: bool,
    project: bool,
    files: tuple[str, ...],
    remove: bool,
    hooks: bool | None,
    approve: bool,
    as_json: bool,
) -> None:
    """Connect an MCP client: write the entry that starts `attach` into its configuration.

    CLIENT is one of claude-code, codex, cursor, vscode, gemini, opencode. Nothing else in the file
    changes, comments included; the first time, a copy of it is kept beside it. --remove leaves the
    file as it was. With --hooks (Claude Code, Codex, OpenCode) its user's settings get hooks, too:
    see docs/hooks.
    """
    chosen = clients.CLIENTS[client]
    cwd = os.getcwd()
    targets = [os.path.abspath(file) for file in files] or [
        clients.configuration_file(chosen, cwd if project else None, os.environ)
    ]
    if project and not files:
        _check_stays(targets[0])
    if approve and chosen.approval is None:
        raise InvalidInput(
            f"{chosen.title} has no such setting.", hint="--approve is for codex; leave it out."
        )
    variables = clients.environment(os.environ, cwd)
    wanted = clients.wanted_entry(
        chosen, clients.command(sys.argv[0], portable=project), variables, approve=approve
    )
    hooked = HookChange.asked(client, hooks, elsewhere=project or bool(files), remove=remove)
    if only_print:
        _print(chosen, targets, wanted, as_json)
        return
    outcomes = [_apply(chosen, file, wanted, project, remove) for file in targets]
    outcomes += hooked.apply(clients.command(sys.argv[0], "hook"), variables)
    output.emit([dataclasses.asdict(outcome) for outcome in outcomes], as_json, _render)


def _apply(
    client: clients.McpClient, file: str, wanted: JsonObject, project: bool, remove: bool
) -> clients.FileOutcome:
    if remove:
        return clients.disconnect(client, file)
    outcome = clients.connect(client, file, wanted, shared=project)
    after = client.after_project if project else ""
    notes = [*outcome.notes, after or client.after]
    if client.approval is not None and not client.approval[0].items() <= outcome.entry.items():
        notes.append(client.approval[1])
    program = clients.words_of(wanted)[0]
    if project and os.sep in program:
        notes.append(
            f"The entry names {program}, a path of this machine: others who share "
            f"the file need {clients.PROGRAM} on their PATH and its bare name here."
        )
    return dataclasses.replace(outcome, notes=tuple(note for note in notes if note))


def _check_stays(file: str) -> None:
    """A project's file may be a link that somebody else made; raises InvalidInput if it leads out.

    What it leads to would be changed with the user's rights.
    """
    project = repository.project_of(os.getcwd(), paths.home()) or os.path.realpath(os.getcwd())
    if not repository.within(os.path.realpath(file), project):
        raise InvalidInput(
            f"{file} leads out of the project, to {os.path.realpath(file)}.",
            hint="Name that file with --config if it is what you want to change.",
        )


def _print(client: clients.McpClient, files: list[str], wanted: JsonObject, as_json: bool) -> None:
    data = {"client": client.name, "files": files, "entry": wanted}
    if not as_json:
        output.note(f"For {', '.join(files)}:")
    output.emit(data, as_json, lambda _: clients.snippet(client, wanted).rstrip("\n"), exact=True)


def _render(outcomes: Sequence[JsonObject]) -> str:
    lines = []
    for outcome in outcomes:
        lines.append(f"{_DONE[outcome['action']]} {outcome['file']}.")
        if outcome["backup"]:
            lines.append(f"The file as it was: {outcome['backup']}.")
        lines += outcome["notes"]
    return "\n".join(lines)


COMMANDS = (connect,)
