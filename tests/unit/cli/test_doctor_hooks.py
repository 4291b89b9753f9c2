"""`doctor` on hooks: are they there, of this installation, trusted, and do they reach anybody."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from khive_supervisor.cli.clients import clients, hooks
from khive_supervisor.cli.clients.hooks import HOOK_CLIENTS
from khive_supervisor.cli.doctor.hooks import check_hooks

CLAUDE, CODEX = HOOK_CLIENTS["claude-code"], HOOK_CLIENTS["codex"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "KHIVE_NO_DAEMON": "1"}


def write(client: hooks.HookClient, environ: dict[str, str], argv: list[str]) -> str:
    file = client.file(environ)
    hooks.write_hooks(client, file, hooks.wanted_hooks(client, argv, {}))
    return file


def own() -> list[str]:
    return clients.command(sys.argv[0], "hook")


def found(environ: dict[str, str]) -> dict[str, str]:
    results = list(check_hooks("/", environ))
    return {f"{one.status} {one.name}": f"{one.what} {one.why} {one.fix}" for one in results}


def test_who_has_none_is_told_nothing(environ: dict[str, str]) -> None:
    assert found(environ) == {}


def test_a_program_that_is_gone_is_a_failure(environ: dict[str, str]) -> None:
    write(CLAUDE, environ, ["/gone/khive-supervisor", "hook"])
    assert "/gone/khive-supervisor" in found(environ)["fail hooks claude-code"]


def test_without_a_supervisor_it_says_so(environ: dict[str, str]) -> None:
    write(CLAUDE, environ, own())
    assert "no supervisor is reached" in found(environ)["warn hooks claude-code"]


def test_codex_must_trust_them(environ: dict[str, str], tmp_path: Path) -> None:
    file = write(CODEX, environ, own())
    results = [one for one in check_hooks("/", environ) if "ignores" in one.what]
    assert "/hooks" in results[0].fix
    trust = f'[hooks.state."{file}:session_start:0:0"]\ntrusted_hash = "sha256:0"\n'
    (tmp_path / ".codex/config.toml").write_text(trust)
    assert not [one for one in check_hooks("/", environ) if "ignores" in one.what]


def test_hooks_of_another_release_are_told(environ: dict[str, str]) -> None:
    file = Path(write(CLAUDE, environ, own()))
    settings = json.loads(file.read_text())
    del settings["hooks"]["PreCompact"]
    file.write_text(json.dumps({**settings, "disableAllHooks": True}))
    whats = [one.what + one.why for one in check_hooks("/", environ)]
    assert any("lack PreCompact" in what for what in whats)
    assert any("disableAllHooks" in what for what in whats)


def test_a_file_that_cannot_be_read_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/settings.json").write_text("{")
    assert "cannot be edited" in found(environ)["warn hooks claude-code"]
