"""The commands as Markdown: the generated part of docs/cli.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

PROGRAM = "khive-supervisor"


def reference() -> str:
    """Every command with its arguments and options, in alphabetical order, groups with theirs."""
    from khive_supervisor.cli.main import cli

    return "\n\n".join(_section(path, command) for path, command in commands(cli)) + "\n"


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Return what does something, as ("index build", command); groups often do not."""
    for name, command in sorted(group.commands.items()):
        path = f"{prefix}{name}"
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield path, command
            yield from commands(command, f"{path} ")
        elif not command.hidden:
            yield path, command


def _section(path: str, command: click.Command) -> str:
    # A command keeps the help option of its first context: it must be the one that it will have.
    context = click.Context(command, info_name=path, help_option_names=["-h", "--help"])
    usage = " ".join([PROGRAM, path, *command.collect_usage_pieces(context)])
    parts = [f"### {path}", inspect.cleandoc(command.help or ""), f"```\n{usage}\n```"]
    rows = [_row(param) for param in command.params if isinstance(param, click.Option)]
    rows = [row for row in rows if row]
    if rows:
        parts.append("\n".join(["| option | value | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(option: click.Option) -> str:
    if option.hidden:
        return ""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    meaning = option.help or ""
    if option.show_default:
        meaning += f" Default: `{option.default}`."
    return "| " + " | ".join(_cell(part) for part in (names, value_of(option), meaning)) + " |"


def value_of(option: click.Option) -> str:
    """Return what is written after the option, as Markdown; a flag takes nothing: `-`."""
    kind = option.type
    if option.is_flag:
        return "-"
    if isinstance(kind, click.Choice):
        return " or ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, click.IntRange):
        return "a number" if kind.min is None else f"{kind.min} to {kind.max}"
    if isinstance(kind, click.FloatRange):
        return "a number"
    return {"integer": "a number", "path": "a path"}.get(kind.name, "text")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
