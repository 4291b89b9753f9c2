"""The examples of docs/agents.md are valid, and the table of directories is whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
from support import ROOT

from khive_supervisor.cli.main import cli
from khive_supervisor.config.load import load
from khive_supervisor.config.settings.roles import WORKDIRS

TEXT = (ROOT / "docs/agents.md").read_text(encoding="utf-8")
#: What an operator follows line by line is carried out in test_agent_story; the rest is here.
WALK, REST = TEXT.split("## A role with Claude Code\n")
BLOCKS = re.findall(r"```toml\n(.*?)```", REST, re.DOTALL)


def test_the_examples_are_valid(tmp_path: Path) -> None:
    whole = [block for block in BLOCKS if block.startswith("[[roles]]")]
    handlers = [block for block in BLOCKS if not block.startswith("[[roles]]")]
    parts = [f'[[roles]]\nrole = "r{n}"\ntask_types = ["t"]\n{h}' for n, h in enumerate(handlers)]
    file = tmp_path / "khive.toml"
    file.write_text("\n".join((*whole, *parts)))
    roles = load(str(file), str(tmp_path), {}).config.roles
    assert [role.handler.agent[0] for role in roles] == [
        "claude", "codex", "my-agent", "./in-a-container",
    ]  # fmt: skip
    assert roles[0].workdir == "worktree"


def test_every_command_of_the_walk_is_one() -> None:
    inline = re.findall(r"`khive-supervisor ([^`]+)`", WALK)
    lines = re.findall(r"^\$ khive-supervisor (.+)$", WALK, re.MULTILINE)
    assert len(lines) >= 15
    for line in (*inline, *lines):
        command: click.Command = cli
        words = shlex.split(line)
        # Commands keep the options for help that their first context names: those of all.
        top = click.Context(cli, **cli.context_settings)
        while isinstance(command, click.Group):
            _, found, words = command.resolve_command(top, words)
            assert found is not None
            command = found
        assert command.make_context(line, words, parent=top).params


def test_every_workdir_is_described() -> None:
    assert set(WORKDIRS) <= set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
