"""What memories are about in code: read when they are stored, and again when they are shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from khive_supervisor.errors import InvalidInput
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.store.links import CodeReference
from khive_supervisor.store.model import Entry
from khive_supervisor.truth.about import CHANGED, FRESH, GONE, MOVED, About, State, blob_id, judged
from khive_supervisor.truth.about import parse as parse_about
from khive_supervisor.verbs.context import Context

#: Bytes of a file that is read, and of all that one call reads.
LARGEST, MOST_BYTES = 1 << 20, 4 << 20
#: Seconds that one call takes at most for looking into files, and places that it looks at.
TIME_LIMIT, MOST_PLACES = 0.02, 40
#: Bytes of git's index that is looked into, and directories that a moved file is looked for in.
LARGEST_INDEX, MOST_DIRECTORIES = 8 << 20, 400
#: Levels that a project's root is looked for above a directory.
_LEVELS = 40
#: Directories that nobody keeps sources in.
_SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv", "target", ".tox"})
#: Names of files that folders have in common.
_EVERYWHERE = frozenset({"__init__.py", "__main__.py", "index.js", "index.ts", "mod.rs"})


def root_of(directory: str) -> str:
    """Return the working tree that a directory is in, else the directory itself; a real path."""
    start = os.path.realpath(directory)
    place = start
    for _ in range(_LEVELS):
        if os.path.lexists(os.path.join(place, ".git")):
            return place
        above = os.path.dirname(place)
        if above == place:
            break
        place = above
    return start


@dataclass
class Tree:
    """A working tree that is read within bounds; each file once."""

    root: str
    clock: Callable[[], float]
    files: dict[str, bytes | None] = field(default_factory=dict)
    left: int = MOST_BYTES
    until: float = 0.0
    index: bytes | None = None

    def __post_init__(self) -> None:
        """Begin the time."""
        self.until = self.clock() + TIME_LIMIT

    @property
    def over(self) -> bool:
        """Return True if no more may be read now."""
        return self.left <= 0 or self.clock() > self.until

    def read(self, path: str) -> bytes | None:
        """Return a file below the root; None: it is not there, is no file, or leads elsewhere."""
        if path not in self.files:
            self.files[path] = self._read(path)
        return self.files[path]

    def _read(self, path: str) -> bytes | None:
        whole = os.path.join(self.root, path)
        if os.path.realpath(whole) != whole:
            return None
        try:
            data, _ = read_regular(whole, LARGEST)
        except OSError:
            return None
        self.left -= len(data)
        return data

    def tracked(self, blob: str) -> str | None:
        """Return a path that git's index has for a blob, of those that are there with it now."""
        if self.index is None:
            self.index = self._index()
        place = self.index.find(bytes.fromhex(blob))
        while place >= 0:
            # Versions 2 and 3: after the id two bytes of flags, then the path and a zero.
            end = self.index.find(b"\0", place + 22)
            path = self.index[place + 22 : end].decode("utf-8", "replace")
            data = self.read(path)
            if data is not None and blob_id(data) == blob:
                return path
            place = self.index.find(bytes.fromhex(blob), place + 1)
        return None

    def _index(self) -> bytes:
        try:
            data, _ = read_regular(os.path.join(self.root, ".git", "index"), LARGEST_INDEX)
        except OSError:
            return b""
        return data if data[:8] in (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3") else b""

    def named(self, name: str) -> Iterator[str]:
        """Yield paths of files of that name, the nearest to the root first, within bounds."""
        pending, looked = [""], 0
        while pending and looked < MOST_DIRECTORIES and not self.over:
            folder = pending.pop(0)
            looked += 1
            try:
                with os.scandir(os.path.join(self.root, folder)) as found:
                    entries = sorted(found, key=lambda one: one.name)
            except OSError:
                continue
            for one in entries:
                path = os.path.join(folder, one.name)
                if one.is_dir(follow_symlinks=False) and one.name not in _SKIPPED:
                    pending.append(path)
                elif one.name == name and one.is_file(follow_symlinks=False):
                    yield path


def references(context: Context, texts: Sequence[str]) -> list[CodeReference]:
    """Return what a memory is about, with what its files hold now.

    Raises:
        InvalidInput: a text is no place, or there is no such file below the project's root.
    """
    tree = Tree(root_of(context.session.cwd), lambda: 0.0)
    identity = context.session.project
    commit = identity.commit if identity is not None else ""
    return [_reference(tree, text, commit) for text in texts]


def looked_at(context: Context, kept: Sequence[CodeReference]) -> list[CodeReference]:
    """Return what a memory is about with what its files hold now, those of the session's tree."""
    tree = Tree(root_of(context.session.cwd), lambda: 0.0)
    identity = context.session.project
    commit = identity.commit if identity is not None else ""
    found = []
    for one in kept:
        data = tree.read(one.path) if one.root == tree.root else None
        at = one if data is None else replace(one, blob=blob_id(data), commit_id=commit or None)
        found.append(at)
    return found


def _reference(tree: Tree, text: str, commit: str) -> CodeReference:
    given = text.strip()
    inside = tree.root.rstrip("/") + "/"
    about = parse_about(given.removeprefix(inside) if given.startswith(inside) else given)
    if about is None:
        raise InvalidInput(
            f"{text[:80]!r} is no place in code.",
            hint="Write path, path::name or path::name=value, the path from the project's root.",
        )
    data = tree.read(about.path)
    if data is None:
        raise InvalidInput(
            f"There is no file {about.path} below {tree.root} that could be read.",
            hint=f"Name a regular file of at most {LARGEST} bytes, and no symbolic link.",
        )
    return CodeReference(
        tree.root, about.path, about.name, about.value, blob_id(data), commit or None
    )


def freshness(
    context: Context, entries: Iterable[Entry], clock: Callable[[], float]
) -> Mapping[int, Mapping[str, str]]:
    """Return what has become of the code that entries are about, by entry id.

    Only of entries of the session's own project, in its working tree: nothing else is read. Whoever
    looks from no directory, as the page does, is told of each in the tree that it was stored from.
    """
    family = context.project
    own = {None, *(family.ids if family is not None else ())}
    anywhere = not context.session.cwd and context.grant.operator
    projects = {one.id: one.project for one in entries if anywhere or one.project in own}
    kept = context.store.references.of([*projects]) if projects else {}
    if not kept:
        return {}
    trees = _Trees("" if anywhere else root_of(context.session.cwd), clock)
    said: dict[int, Mapping[str, str]] = {}
    for entry, found in kept.items():
        states = [(one, trees.state(one, among=bool(projects[entry]))) for one in found]
        told = [_told(one, state) for one, state in states if state is not None]
        if told:
            said[entry] = {"code": "; ".join(told)}
    return said


class _Trees:
    """The working trees that one call looks into: the session's own, or each place's."""

    def __init__(self, root: str, clock: Callable[[], float]) -> None:
        self._root = root
        self._clock = clock
        self._trees: dict[str, Tree] = {}
        self._places = 0

    def state(self, one: CodeReference, *, among: bool) -> State | None:
        """Return what has become of a place; None: it is in no tree that may be looked into.

        Of an entry that is among a project's, another working tree of it will do.
        """
        self._places += 1
        root = self._root or one.root
        if one.root != root and not (among and one.commit_id):
            return None
        if root not in self._trees:
            self._trees[root] = Tree(root, self._clock)
        return state_of(self._trees[root], one, self._places)


def state_of(tree: Tree, one: CodeReference, places: int) -> State:
    """Return what has become of a place."""
    if tree.over or places > MOST_PLACES:
        return State("not looked at")
    about = About(one.path, one.name, one.value)
    data = tree.read(one.path)
    if data is not None:
        state = judged(about, one.blob, data)
        return state if state.state != GONE else _elsewhere(tree, one, about) or state
    if one.blob and (path := tree.tracked(one.blob)):
        return State(MOVED, f"to {path}")
    return _elsewhere(tree, one, about) or State(GONE, f"{one.path} is not there")


def _elsewhere(tree: Tree, one: CodeReference, about: About) -> State | None:
    """Return where a place has moved to: a file of the same name that has it; None: not found.

    One that has it as it was goes before one that has it otherwise, which no file will do whose
    name every folder has.
    """
    otherwise: State | None = None
    for path in tree.named(os.path.basename(one.path)):
        data = None if path == one.path or tree.over else tree.read(path)
        if data is None:
            continue
        state = judged(About(path, about.name, about.value), one.blob, data)
        if state.state == FRESH:
            return State(MOVED, f"to {path}")
        told = about.name is not None and os.path.basename(path) not in _EVERYWHERE
        if told and state.state == CHANGED and otherwise is None:
            otherwise = State(MOVED, f"to {path}; {state.said}")
    return otherwise


def _told(one: CodeReference, state: State) -> str:
    """Return a place and its state in one short line."""
    about = About(one.path, one.name, one.value)
    since = f" since {one.commit_id[:7]}" if state.state == CHANGED and one.commit_id else ""
    return f"{about}: {state.state}{since}" + (f" ({state.said})" if state.said else "")
