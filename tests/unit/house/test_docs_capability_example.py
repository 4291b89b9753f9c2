"""The examples of docs/capabilities.md are valid and are what the page says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from khive_supervisor.config.all_capabilities import PLACE, all_capabilities, read_file
from khive_supervisor.config.capability import Capability, Package
from khive_supervisor.config.load import load
from khive_supervisor.config.offers import DEADLINE, ENTRY_POINTS
from khive_supervisor.config.settings.roles import Handler
from khive_supervisor.config.settings.values import declared

TEXT = (ROOT / "docs/capabilities.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_roles_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "khive.toml"
    short, long, _, _ = blocks("toml")
    file.write_text(short)
    assert [role.role for role in load(str(file), str(tmp_path), {}).config.roles] == ["reviewer"]
    file.write_text(long)
    first, second = load(str(file), str(tmp_path), {}).config.roles
    assert (first.model, first.workers, first.handler.agent[1:]) == ("sonnet", 2, ("-p",))
    assert (second.role, second.model) == ("second-opinion", "")
    assert second.handler == Handler(agent=("codex", "--sandbox", "read-only"))


def test_the_file_is_a_capability(tmp_path: Path) -> None:
    file = tmp_path / "changelog.toml"
    file.write_text(blocks("toml")[2])
    found = read_file(str(file), "somebody")
    assert isinstance(found, Package)
    assert found.capability.id == "changelog-writer"


def test_the_module_is_what_the_entry_point_leads_to() -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)  # the page's own text
    entry = tomllib.loads(blocks("toml")[3])["project"]["entry-points"][ENTRY_POINTS]
    ((name, value),) = entry.items()
    found = names[value.partition(":")[2]]
    assert isinstance(found, Capability)
    assert found.id == name
    assert f"a process of its own that has {DEADLINE:g} s" in " ".join(TEXT.split())


def test_every_built_in_one_and_every_key_is_in_a_table() -> None:
    rows = re.findall(r"^\| (`.*)$", TEXT, re.MULTILINE)
    cells = "\n".join(row.partition(" | ")[0] for row in rows)
    for package in all_capabilities("/nowhere", tuple).packages.values():
        one = package.capability
        assert f"| `{one.id}` | `{one.role}` | `{one.task_types[0]}` |" in TEXT
    for name in declared(Capability):
        assert f"`{name}`" in cells


def test_the_built_in_ones_are_shipped() -> None:
    data = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "    capabilities/*.toml\n" in data
    assert Path(PLACE) == ROOT / "khive_supervisor/capabilities"
