"""The house: every module lies in a declared room, and imports point one way.

A room is a folder; a module that lies directly in a package is a room of its own. `FLOORS` lists
the rooms from the bottom up. A module imports from its own room, from rooms on floors below, and
from nothing else; within a room there is no circle either.
"""

from __future__ import annotations

import ast
import collections
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = (ROOT / "khive_supervisor", ROOT / "workers" / "khive_workers")

#: From the bottom up. `khive_supervisor` is left out of names; workers have theirs in full.
FLOORS = (
    ("", "exitcodes", "text"),
    ("documents", "index", "overview", "team", "truth"),
    ("errors", "briefing", "sqlite.schema.released"),
    ("graph", "redaction"),
    ("host", "audit", "profiles", "sqlite.schema"),
    ("routing",),
    ("vcs",),
    ("control", "logs", "tasks", "worktrees", "attach"),
    ("workflows",),
    ("config.settings",),
    ("config.workflows",),
    ("access", "agents", "budgets", "embed", "exchange"),
    ("config", "history", "projects"),
    ("config.project",),
    ("store.journal", "store.channels", "store.team", "store.workflows"),
    ("store",),
    ("capture", "transcripts", "channels"),
    ("freshness", "sqlite.engine"),
    ("sqlite.audit", "sqlite.vectors"),
    ("sqlite.entries", "sqlite.flow", "sqlite.changes"),
    (
        "sqlite.profiles",
        "sqlite.projects",
        "sqlite.tasks",
        "sqlite.curation",
        "index.inverted",
        "sqlite.journal",
        "sqlite.channels",
        "sqlite.team",
    ),
    ("sqlite.workflows",),
    ("index.vectors", "sqlite"),
    ("search",),
    ("verbs.away", "verbs.confined"),
    ("verbs",),
    ("catalogue",),
    ("packs.truth",),
    (
        "packs.memory",
        "packs.agents",
        "packs.batch",
        "packs.graph",
        "packs.system",
        "packs.channels",
    ),
    ("packs.workflows",),
    ("packs.brain", "packs.capture", "packs.curation", "packs.history"),
    ("packs.hooks",),
    ("packs",),
    ("supervision.processes",),
    ("supervision.maintenance", "supervision.team", "supervision.upgrade"),
    ("supervision.roles",),
    ("supervision.reload",),
    ("supervision.control",),
    ("supervision.watch",),
    ("supervision",),
    ("cli.render",),
    ("cli.options",),
    ("cli.connection", "cli.clients"),
    ("cli.service", "cli.doctor", "cli.top"),
    ("cli.memories",),
    ("cli.commands",),
    ("cli.workflows",),
    ("cli.secrets", "cli.curation", "cli.history"),
    ("cli.catalogue", "cli.channels", "cli.routing", "cli.team"),
    ("cli",),
    ("entry",),
    ("__main__",),
    ("khive_workers", "khive_workers.preload"),
    ("khive_workers.common",),
    ("khive_workers.desk.drawing",),
    ("khive_workers.desk.views", "khive_workers.team"),
    (
        "khive_workers.embedder",
        "khive_workers.index_builder",
        "khive_workers.mcp",
        "khive_workers.desk",
        "khive_workers.metrics",
    ),
    (
        "khive_workers.http",
        "khive_workers.notifier",
        "khive_workers.replicator",
        "khive_workers.role",
        "khive_workers.session",
        "khive_workers.waiting",
    ),
    ("khive_workers.zygote",),
)
RANK = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: What a child process never needs, and must not load.
PARENT_ONLY = ("supervision", "cli", "entry", "__main__")
#: Modules in one folder, its `__init__` not counted.
MOST_MODULES = 12


def name_of(path: Path) -> str:
    root = ROOT / "workers" if path.is_relative_to(ROOT / "workers") else ROOT
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Return every module's syntax tree by its dotted name."""
    return {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"))
        for source in SOURCES
        for path in sorted(source.rglob("*.py"))
    }


@functools.cache
def packages() -> frozenset[str]:
    return frozenset(name_of(p) for source in SOURCES for p in source.rglob("__init__.py"))


def named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in trees() else str(node.module)


@functools.cache
def imports() -> dict[str, frozenset[str]]:
    """Return which of the project's modules each module imports, wherever in its text."""
    return {
        module: frozenset(
            name
            for node in ast.walk(tree)
            for name in named(node)
            if name.split(".")[0] in ("khive_supervisor", "khive_workers", "workers")
            and name != module
        )
        for module, tree in trees().items()
    }


def room_of(module: str) -> str:
    """Return the room that a module lies in, as `FLOORS` names it."""
    folder = module if module in packages() else module.rpartition(".")[0]
    if folder in ("khive_supervisor", "khive_workers"):
        folder = module
    return folder.removeprefix("khive_supervisor").removeprefix(".")


def circles(graph: dict[str, frozenset[str]]) -> list[list[str]]:
    """Return the sets of modules that import each other around (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph.get(module, ()):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            members = stack[stack.index(module) :]
            del stack[-len(members) :]
            if len(members) > 1:
                found.append(sorted(members))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_every_module_lies_in_a_declared_room() -> None:
    rooms = {room_of(module) for module in trees()}
    assert rooms - RANK.keys() == set(), "on no floor: add the room to FLOORS"


def test_every_module_imports_only_from_below() -> None:
    wrong = [
        f"{module} imports {name}, which is not below it"
        for module, names in imports().items()
        for name in sorted(names)
        if (own := room_of(module)) != (other := room_of(name)) and RANK[other] >= RANK[own]
    ]
    assert wrong == []


def test_no_modules_import_each_other_around() -> None:
    assert circles(imports()) == []


def test_a_circle_would_be_found() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"})}
    assert circles(graph) == [["b", "c"]]


def says(tree: ast.Module, name: str) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names})
        for node in ast.walk(tree)
    )


def test_no_import_is_hidden_from_the_interpreter() -> None:
    assert [module for module, tree in trees().items() if says(tree, "TYPE_CHECKING")] == []


def test_the_supervisor_never_imports_workers() -> None:
    for module, others in imports().items():
        if module.startswith("khive_supervisor"):
            assert not [name for name in others if not name.startswith("khive_supervisor")], module


def test_workers_load_nothing_that_only_their_parent_needs() -> None:
    for module, others in imports().items():
        if module.startswith("khive_workers"):
            rooms = {room_of(name).split(".")[0] for name in others}
            assert not rooms & set(PARENT_ONLY), module


def test_no_room_is_crowded() -> None:
    modules = [m for m in trees() if m not in packages()]
    rooms = collections.Counter(m.rpartition(".")[0] for m in modules)
    assert {room: count for room, count in rooms.items() if count > MOST_MODULES} == {}


def test_a_class_name_is_used_once() -> None:
    where: dict[str, list[str]] = collections.defaultdict(list)
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(module)
    assert {name: modules for name, modules in where.items() if len(modules) > 1} == {}


def test_workers_is_only_a_source_root() -> None:
    assert not (ROOT / "workers" / "__init__.py").exists()


def test_test_files_have_names_of_their_own() -> None:
    # pytest imports them by their names alone: of two with one name it would refuse the second.
    names = collections.Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name: count for name, count in names.items() if count > 1} == {}
