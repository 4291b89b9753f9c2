"""What is said of code, over releases of packages: whether it is told when it no longer holds.

What is true is told by Python's own parser: the value that a module gives a name, and where else a
name that is gone is found. Each release is committed on top of the one before it. Without a folder
of releases, they are made here of modules that are installed: edits, renames and moves, by a seed.

A folder of releases has one folder a package, and in it a folder, a wheel or an sdist a release, as
`pip download --no-deps NAME==VERSION` leaves them.
"""

from __future__ import annotations

import ast
import random
import re
import shutil
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample, say
from benchmarks.truth import releasing
from khive_supervisor.packs.truth.code import Tree, state_of
from khive_supervisor.store.links import CodeReference
from khive_supervisor.truth.about import CHANGED, FRESH, GONE, MOVED, blob_id

SEED, PACKAGES, RELEASES = 35, ("json", "email", "http", "logging", "urllib"), 16
#: References that are followed from each release to the next one.
FOLLOWED = 40
#: References of one recall.
HITS = 10

#: What is told of what no longer holds as it was said.
STALE = (CHANGED, MOVED, GONE)

Constants = dict[tuple[str, str], str]
Assigned = dict[tuple[str, str], set[str]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A release: its constants, and git's id of each of its modules."""

    root: str
    constants: Constants
    assigned: Assigned
    blobs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Case:
    """What is said of a release, and what is true of it in the next one."""

    reference: CodeReference
    truth: str


def measure(context: Context) -> list[Row]:
    """The row of staleness: each constant that is declared, followed to the next release."""
    made = context.releases is None
    place = context.releases or _made(context.work / "releases")
    found: Counter[tuple[str, str]] = Counter()
    times: list[float] = []
    packages = sorted(one for one in place.iterdir() if one.is_dir())
    for package in packages:
        releases = sorted(filter(releasing.is_release, package.iterdir()), key=releasing.version)
        tree = releasing.begun(context.work / "committed" / package.name)
        before: Snapshot | None = None
        for release in releases:
            releasing.commit(release, tree)
            after = _snapshot(tree)
            cases = _cases(before, after) if before else []
            times += [_looked(tree, some, found) for some in _tens(cases)]
            before = after
    told = sum(n for (truth, said), n in found.items() if said in STALE)
    right = sum(n for (truth, said), n in found.items() if said in STALE and truth == said)
    stale = sum(n for (truth, said), n in found.items() if truth != FRESH)
    noticed = sum(n for (truth, said), n in found.items() if truth != FRESH and said in STALE)
    precision, recall = right / max(1, told), noticed / max(1, stale)
    kind = "made from installed modules" if made else "of packages"
    return [
        Row(
            what=f"declared values over releases {kind}: {len(packages)} packages, "
            f"{sum(found.values())} looks, {stale} no longer so",
            target="precision 99 %, recall 95 %; 10 hits in 5 ms",
            khive=f"precision {100 * precision:.1f} %, recall {100 * recall:.1f} %; "
            f"{HITS} hits {Sample(tuple(times)).show('ms')}",
            peers=(),
            met=precision >= 0.99 and recall >= 0.95 and Sample(tuple(times)).p50 <= 5.0,
            notes=tuple(
                f"{truth} was told to be {said}: {n}"
                for (truth, said), n in sorted(found.items())
                if truth != said
            ),
        )
    ]


def _tens(cases: Sequence[_Case]) -> Iterator[Sequence[_Case]]:
    for start in range(0, len(cases), HITS):
        yield cases[start : start + HITS]


def _looked(root: Path, cases: Sequence[_Case], found: Counter[tuple[str, str]]) -> float:
    """Count what is told of some cases; the milliseconds that it took."""
    began = time.perf_counter()
    tree = Tree(str(root.resolve()), time.monotonic)
    states = [state_of(tree, one.reference, number) for number, one in enumerate(cases)]
    took = (time.perf_counter() - began) * 1000
    for one, state in zip(cases, states, strict=True):
        said = state.state
        if said == MOVED and " is " in state.said:
            said = CHANGED
        found[one.truth, said] += 1
        if one.truth != said and said in STALE:
            say(f"{one.reference.path}::{one.reference.name} was {one.reference.value!r}: "
                f"{one.truth}, told {said} {state.said!r}")  # fmt: skip
    return took


def _snapshot(root: Path) -> Snapshot:
    """Return a release as it is needed for the next one, which takes its place."""
    paths = sorted(root.rglob("*.py"))
    blobs = {str(path.relative_to(root)): blob_id(path.read_bytes()) for path in paths}
    return Snapshot(str(root), *_all_assigned(root, paths), blobs)


def _cases(before: Snapshot, after: Snapshot) -> list[_Case]:
    """Return what is said of a release's constants, with what is true of them in the next one."""
    old, new = before.constants, after.constants
    where: dict[tuple[str, str], set[str]] = {}
    for (path, name), values in after.assigned.items():
        if (path, name) not in before.assigned:
            where.setdefault((Path(path).name, name), set()).update(values)
    kept = set(after.blobs.values())
    draw = random.Random(f"{SEED} {sorted(old.items())[:50]}")
    changed = [key for key in old if new.get(key) != old[key]]
    same = [key for key in old if new.get(key) == old[key]]
    chosen = changed[:FOLLOWED] + draw.sample(same, min(len(same), FOLLOWED))
    return [
        _Case(
            CodeReference(before.root, key[0], key[1], old[key], before.blobs[key[0]], None),
            _truth(key, old, after.assigned, where, renamed=before.blobs[key[0]] in kept),
        )
        for key in chosen
    ]


def _truth(
    key: tuple[str, str],
    old: Constants,
    new: Assigned,
    where: Mapping[tuple[str, str], set[str]],
    *,
    renamed: bool,
) -> str:
    if key in new:
        return FRESH if any(_equal(old[key], one) for one in new[key]) else CHANGED
    if renamed:
        return MOVED
    elsewhere = where.get((Path(key[0]).name, key[1]))
    if not elsewhere:
        return GONE
    if any(_equal(old[key], one) for one in elsewhere):
        return MOVED
    return GONE if key[0].endswith("__init__.py") else CHANGED


def _equal(one: str, other: str) -> bool:
    return ast.dump(ast.parse(one.strip())) == ast.dump(ast.parse(other.strip()))


def _all_assigned(root: Path, paths: Sequence[Path]) -> tuple[Constants, Assigned]:
    """Return a release's constants, as they are written, and all that names are given, by place."""
    constants: Constants = {}
    assigned: Assigned = {}
    for path in paths:
        for name, value, constant in _assigned(path):
            key = (str(path.relative_to(root)), name)
            assigned.setdefault(key, set()).add(value)
            if constant:
                constants[key] = value
    return constants, assigned


def _assigned(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Yield names with their values, and whether that is one constant."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    said = list(_of_body(text, tree.body, ""))
    seen = Counter(name for name, _ in said)
    # A name that is given a value elsewhere, too, has no one value.
    stored = Counter(node.id for node in ast.walk(tree) if _is_stored(node))
    for name, value in said:
        once = seen[name] == 1 and ("." in name or stored[name] == 1)
        yield name, value, once and 0 < len(value) < 200 and _literal(value)


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _of_body(text: str, body: Sequence[ast.stmt], scope: str) -> Iterator[tuple[str, str]]:
    """Yield what a module, and its classes, assign to single names, as it is written."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not scope:
            yield from _of_body(text, node.body, f"{node.name}.")
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = ast.get_source_segment(text, node.value) or ""
            for one in targets:
                if isinstance(one, ast.Name):
                    yield f"{scope}{one.id}", value


def _literal(value: str) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _made(place: Path) -> Path:
    """Make releases of installed modules: each differs from the one before by some changes."""
    shutil.rmtree(place, ignore_errors=True)
    source = Path(sysconfig.get_paths()["stdlib"])
    for package in PACKAGES:
        draw = random.Random(f"{SEED} {package}")
        files = _begun(source / package, draw)
        for release in range(RELEASES):
            for path, text in files.items():
                target = place / package / f"{release}" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            files = _changed(files, draw)
    return place


def _begun(folder: Path, draw: random.Random) -> dict[str, str]:
    """Return a package's modules, each with a few constants of its own."""
    files = {}
    for path in sorted(folder.rglob("*.py")):
        constants = "".join(
            f"{path.stem.upper().strip('_') or 'PACKAGE'}_{number} = {_value(draw)}\n"
            for number in range(6)
        )
        name = str(path.relative_to(folder))
        files[name] = path.read_text(encoding="utf-8") + "\n\n" + constants
    return files


def _value(draw: random.Random) -> str:
    number = draw.randrange(1, 10_000)
    return draw.choice(
        [f"{number}", f"{number / 100}", f"'name-{number}'", f'"/var/{number}"', f"({number}, 2)",
         f"[\n    {number},\n    'a',  # one\n]", f"{{'k': {number}}}", "True", "None"]
    )  # fmt: skip


def _changed(files: dict[str, str], draw: random.Random) -> dict[str, str]:
    """Return the next release: values, names, places and comments that are others."""
    after = {}
    for path, text in files.items():
        lines = [_line(line, draw) for line in text.splitlines()]
        new = path
        if draw.random() < 0.06:
            new = f"sub{draw.randrange(9)}/{Path(path).name}"
        if draw.random() < 0.97 and new not in after:
            after[new] = "\n".join(line for line in lines if line is not None) + "\n"
    return after


def _line(line: str, draw: random.Random) -> str | None:
    """Return a line of the next release; None: it is gone."""
    match = re.fullmatch(r"([A-Z][A-Z_]*_\d+) = (\d+|'[^']*'|True|None|\"[^\"]*\")", line)
    if match is None:
        return line
    chance = draw.random()
    if chance < 0.05:
        return f"{match[1]} = {_value(draw)}"
    if chance < 0.07:
        return f"{match[1]}_NEW = {match[2]}"
    if chance < 0.09:
        return None
    return f"{match[1]} = {match[2]}  # as before" if chance < 0.12 else line
