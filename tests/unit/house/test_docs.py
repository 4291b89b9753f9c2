"""The documents say what the code does: generated parts, tables, and links."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

import module_map
import pytest
from support import ROOT
from test_layers import SOURCES

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli import reference as commands
from khive_supervisor.cli.clients.clients import CLIENTS
from khive_supervisor.cli.commands import profiles
from khive_supervisor.cli.main import cli
from khive_supervisor.config.load import load
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Handler, Role
from khive_supervisor.control.protocol import MAX_FDS, MAX_FRAME, PROTOCOL
from khive_supervisor.graph import reference as links
from khive_supervisor.index.vectors.build import BuildReason
from khive_supervisor.packs import reference as verbs
from khive_supervisor.packs.loading import BUILTIN
from khive_supervisor.profiles import admission, signals
from khive_supervisor.profiles.model import DEFAULT, PRIORITY_LIMIT, Weights
from khive_supervisor.profiles.names import LIFECYCLES
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.store.vectors import VectorStats
from khive_supervisor.supervision.control.sessions import Session
from khive_supervisor.supervision.maintenance.loop import IndexStatus
from khive_supervisor.supervision.processes.restart import PERMANENT_EXITS
from khive_supervisor.supervision.processes.states import ProcessState
from khive_supervisor.supervision.roles.environment import RoleEnvironment
from khive_supervisor.supervision.roles.generation import PoolDependencies, RoleGeneration
from khive_supervisor.supervision.roles.lifecycle import GenerationState
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.supervision.upgrade.inherited import StartOptions
from khive_supervisor.supervision.wiring import Parts

DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
ANY_DOCUMENT = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUR_FILE = re.compile(
    r"`((?:tests|scripts|khive_supervisor|workers|docs|benchmarks|\.ci|\.github)/[\w./-]+)"
)


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def generated(name: str) -> str:
    text = text_of(f"docs/{name}.md")
    return text.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]


def first_cells(document: str) -> set[str]:
    """What stands in backticks in the first cell of the rows of all tables."""
    cells = re.findall(r"^\| ([^|]*) \|", text_of(document), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


# --- generated parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("cli", commands.reference),
        ("verbs", verbs.reference),
        ("architecture", module_map.reference),
        ("graph", links.reference),
    ],
)
def test_generated_parts_are_up_to_date(name: str, reference: Any) -> None:
    assert generated(name).strip() == reference().strip(), "run scripts/docs"


def test_every_module_is_in_the_map_and_says_what_it_is() -> None:
    files = [file for source in SOURCES for file in source.rglob("*.py")]
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", generated("architecture"), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(
        file.name for file in files if file.name != "__init__.py"
    )
    assert all(len(line) > len("`python -m x`") for _, line in rows)


def test_every_part_of_the_core_that_is_measured_is_there() -> None:
    core = tomllib.loads(text_of("pyproject.toml"))["tool"]["coverage"]["run"]["include"]
    assert [pattern for pattern in core if not list(ROOT.glob(pattern))] == []
    folders = {f"tests/unit/{pattern.split('/')[1]}" for pattern in core}
    assert [folder for folder in folders if not list((ROOT / folder).glob("test_*.py"))] == []


def test_every_command_and_verb_has_its_heading() -> None:
    for path, _command in commands.commands(cli):
        assert f"### {path}\n" in generated("cli")
    for verb in (verb for pack in BUILTIN for verb in pack.verbs):
        assert f"### {verb.name}\n" in generated("verbs")


def test_every_command_is_in_the_table_of_groups() -> None:
    groups = text_of("docs/cli.md").partition("## What all commands share")[0]
    missing = [path for path, _ in commands.commands(cli) if f"`{path}`" not in groups]
    assert missing == []


def test_every_client_is_in_the_readme() -> None:
    missing = [name for name in CLIENTS if f"`{name}`" not in text_of("README.md")]
    assert missing == []


def test_every_tool_of_the_built_in_packs_is_in_the_readme() -> None:
    text = text_of("README.md")
    for verb in (verb for pack in BUILTIN for verb in pack.verbs if verb.tool):
        assert f"`{verb.tool_name}`" in text


# --- tables ---------------------------------------------------------------------------------------


def test_every_exit_code_is_documented() -> None:
    text = text_of("docs/operations.md")
    codes = {name: value for name, value in vars(exitcodes).items() if isinstance(value, int)}
    for name, value in codes.items():
        assert f"| {value} | `{name}` |" in text
    assert len(re.findall(r"^\| \d+ \| `[A-Z_]+` \|", text, re.MULTILINE)) == len(codes)


def test_the_exits_that_nobody_restarts_after_are_named() -> None:
    *most, last = sorted(PERMANENT_EXITS)
    sentence = f"exit codes {', '.join(map(str, most))} and {last}"
    assert sentence in " ".join(text_of("docs/architecture.md").split())


def test_every_child_state_and_build_reason_is_documented() -> None:
    assert {state.value for state in ProcessState} <= first_cells("docs/operations.md")
    for reason in BuildReason:
        assert f"`{reason.value}`" in text_of("docs/operations.md")


def test_every_state_of_a_generation_is_documented() -> None:
    assert {state.value for state in GenerationState} <= first_cells("docs/roles.md")


def test_every_field_of_status_is_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    parts = Parts(StartOptions(load(None, str(tmp_path), {}), str(tmp_path / "s")))
    off = parts.status()["index"]
    parts.upkeep.index_state = IndexStatus(vectors=VectorStats("m", 0, 0, 0, 0, 0))
    status = parts.status()
    session = Session("a", "session", {}, 0.0, None)  # type: ignore[arg-type]  # not written to
    told = set(status) | set(off) | set(status["index"]) | set(status["builder"])
    told |= set(status["freshness"])
    role = Role("r", ("t",), Handler(python="m:f"))
    around = PoolDependencies(
        lambda _r, _f: None,
        lambda _w, _d: None,
        lambda: None,
        lambda _fd: None,
        RoleEnvironment(),
        asyncio.Queue(),
    )
    pool = RolePool(role, Config(), around)
    told |= set(pool.describe(0.0)) | {"queued", "leased"}
    told |= set(RoleGeneration(1, role, Config(), around, pool).describe(0.0))
    told |= set(status["children"][0]) | set(session.describe(0.0))
    missing = told - first_cells("docs/operations.md")
    assert not missing, f"describe in docs/operations.md: {missing}"


def test_every_signal_is_documented_with_what_it_does() -> None:
    text = text_of("docs/profiles.md")
    for signal in signals.SIGNALS.values():
        speaks = "for" if signal.positive else "against"
        moves = ", ".join([*["the entry"] * signal.target, *[f"`{p}`" for p in signal.posteriors]])
        row = f"| `{signal.name}` | {signal.weight:g} | {speaks} | {moves} |"
        assert row in text
    assert f"up to {signals.PROMPT_US // 1000} ms" in text


def test_the_numbers_of_profiles_are_their_own() -> None:
    text = " ".join(text_of("docs/profiles.md").split())
    assert f"halves every {admission.HALF_LIFE / 86400:g} days" in text
    assert f"| an MCP session, about one entry | {admission.EXPLICIT_CAP:g} |" in text
    assert f"together, about one entry | {admission.IMPLICIT_CAP:g} |" in text
    assert f"from -{PRIORITY_LIMIT} to {PRIORITY_LIMIT}" in text
    assert f"`{DEFAULT}` is built in" in text
    priors = Weights()
    for prior in (priors.relevance, priors.salience, priors.temporal):
        assert f"{prior.mean:g} ({prior.alpha:g} and {prior.beta:g})" in text
    assert set(LIFECYCLES) <= first_cells("docs/profiles.md")


def test_every_verb_of_profiles_is_on_their_page() -> None:
    text = text_of("docs/profiles.md")
    (brain,) = (pack for pack in BUILTIN if pack.name == "brain")
    for verb in brain.verbs:
        assert f"`{verb.name}`" in text
        assert not verb.tool or f"`{verb.tool_name}`" in text
    for command in profiles.COMMANDS:
        assert f"`{command.name}`" in text


def test_every_field_of_freshness_is_in_its_own_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    parts = Parts(StartOptions(load(None, str(tmp_path), {}), str(tmp_path / "s")))
    table = text_of("docs/operations.md").partition("`freshness`: ")[2].partition("Each of")[0]
    fields = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(fields) == sorted(parts.status()["freshness"])


def test_the_limits_and_numbers_of_the_protocol_are_its_own() -> None:
    text = text_of("docs/protocol.md")
    assert f"| one frame | {MAX_FRAME >> 20} MiB |" in text
    assert f"| descriptors with a hello | {MAX_FDS} |" in text
    assert f"| protocol, {PROTOCOL} |" in text
    assert f"| schema, {NEWEST} |" in text


def test_the_changelog_has_the_version() -> None:
    assert __version__ in text_of("CHANGELOG.md")


# --- links ----------------------------------------------------------------------------------------


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as repository hosts make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@ANY_DOCUMENT
def test_every_relative_link_resolves(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{document.name} links to {link}"


@ANY_DOCUMENT
def test_every_file_that_is_named_exists(document: Path) -> None:
    for name in OUR_FILE.findall(document.read_text(encoding="utf-8")):
        assert (ROOT / name.rstrip(".")).exists(), f"{document.name} names {name}"


def test_every_document_can_be_found_from_the_readme() -> None:
    text = text_of("README.md")
    for document in DOCS.glob("*.md"):
        assert f"(docs/{document.name})" in text
