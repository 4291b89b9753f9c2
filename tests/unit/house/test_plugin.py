"""The plugin for Claude Code: of the form that it takes, with the hooks that `connect` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from khive_supervisor import __version__
from khive_supervisor.cli.clients import clients, hooks

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "plugins/khive"
#: How Claude Code calls the server of this plugin.
SERVER = "plugin:khive:khive"


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_marketplace_points_to_the_plugin() -> None:
    market = read(ROOT / ".claude-plugin/marketplace.json")
    assert {"name", "owner", "plugins"} <= market.keys()
    (entry,) = market["plugins"]
    assert (ROOT / entry["source"]).resolve() == PLUGIN
    assert entry["name"] == read(PLUGIN / ".claude-plugin/plugin.json")["name"]


def test_the_plugin_is_of_this_release() -> None:
    manifest = read(PLUGIN / ".claude-plugin/plugin.json")
    assert manifest["version"] == __version__
    assert manifest["name"] == clients.NAME


def test_its_server_is_attach() -> None:
    (server,) = read(PLUGIN / ".mcp.json")["mcpServers"].values()
    assert (server["command"], server["args"]) == ("khive-supervisor", ["attach"])


def test_its_hooks_are_those_that_connect_writes() -> None:
    client = hooks.HOOK_CLIENTS["claude-code"]
    wanted = hooks.wanted_hooks(client, ["khive-supervisor", "hook"], {}, SERVER)
    assert read(PLUGIN / "hooks/hooks.json")["hooks"] == {
        event: [group] for event, group in wanted.items()
    }


def test_there_is_nothing_else_in_it() -> None:
    files = sorted(str(f.relative_to(PLUGIN)) for f in PLUGIN.rglob("*") if f.is_file())
    assert files == [".claude-plugin/plugin.json", ".mcp.json", "hooks/hooks.json"]
