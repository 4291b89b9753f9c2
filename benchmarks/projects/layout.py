"""Twenty repositories as people have them, and directories that claim to be one of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

#: Repositories: some have clones, some worktrees, some are moved, some have parts, some are bare.
REPOSITORIES = 20


@dataclass(slots=True)
class Layout:
    """Directories by what their project is called; `moves` are carried out later."""

    root: Path
    #: What is stored first, a project each.
    first: dict[str, Path] = field(default_factory=dict)
    #: Other directories, and the project that they belong to.
    others: list[tuple[str, Path]] = field(default_factory=list)
    #: Directories that are projects of their own, whatever they say.
    claims: list[Path] = field(default_factory=list)
    moves: list[tuple[str, Path, Path]] = field(default_factory=list)

    def move(self) -> None:
        """Rename the folders of some repositories, and put others in their places."""
        for name, source, target in self.moves:
            shutil.move(source, target)
            self.first[name] = target
            self.first[f"{name} follower"] = _repository(source, f"follower of {name}", "")


def make(root: Path) -> Layout:
    """Make all of it with git."""
    layout = Layout(root)
    for number in range(REPOSITORIES):
        name = f"project{number}"
        remote = f"git@example.org:acme/{name}.git" if number % 3 == 0 else ""
        if number % 5 == 4:
            _bare(layout, name)
            continue
        top = _repository(root / name, name, remote)
        layout.first[name] = top
        if number % 3 == 0:
            _clone(layout, name, top)
        elif number % 3 == 1:
            _worktrees(layout, name, top)
        elif number % 4 == 2:
            layout.moves.append((name, top, root / f"moved-{name}"))
        else:
            _parts(layout, name, top)
    _submodules(layout)
    _claims(layout)
    return layout


def git(directory: Path, *words: str) -> None:
    """Run git as nobody in particular."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    who = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "protocol.file.allow=always",
    )
    subprocess.run(
        ["git", "-C", str(directory), *who, *words], env=environ, check=True, capture_output=True
    )


def _repository(top: Path, message: str, remote: str) -> Path:
    top.mkdir(parents=True)
    git(top, "init", "-q")
    git(top, "commit", "-q", "--allow-empty", "-m", message)
    if remote:
        git(top, "remote", "add", "origin", remote)
    (top / "src/deep").mkdir(parents=True)
    return top


def _bare(layout: Layout, name: str) -> None:
    seed = _repository(layout.root / "seeds" / name, name, "")
    bare = layout.root / f"{name}.git"
    git(seed, "clone", "-q", "--bare", str(seed), str(bare))
    git(bare, "worktree", "add", "-q", str(layout.root / f"{name}-main"), "-b", "work")
    layout.first[name] = layout.root / f"{name}-main"
    layout.others.append((name, bare))


def _clone(layout: Layout, name: str, top: Path) -> None:
    target = layout.root / "elsewhere" / name
    target.parent.mkdir(exist_ok=True)
    git(top, "clone", "-q", f"file://{top}", str(target))
    git(target, "remote", "set-url", "origin", f"https://example.org/acme/{name}")
    layout.others += [(name, target), (name, top / "src/deep")]


def _worktrees(layout: Layout, name: str, top: Path) -> None:
    beside, nested = layout.root / f"{name}-side", top / "trees/nested"
    for number, tree in enumerate((beside, nested, nested / "deeper")):
        git(top, "worktree", "add", "-q", str(tree), "-b", f"side{number}")
        layout.others.append((name, tree))


def _parts(layout: Layout, name: str, top: Path) -> None:
    for part in ("web", "api"):
        folder = top / part
        (folder / "src").mkdir(parents=True)
        (folder / "khive.toml").write_text(f'[project]\nname = "{part}"\n')
        layout.first[f"{name}/{part}"] = folder
        layout.others.append((f"{name}/{part}", folder / "src"))


def _submodules(layout: Layout) -> None:
    for name in ("project1", "project7"):
        git(layout.first[name], "submodule", "add", "-q", str(layout.first["project0"]), "sub")
        layout.first[f"{name}/sub"] = layout.first[name] / "sub"


def _claims(layout: Layout) -> None:
    victim, root = layout.first["project0"], layout.root
    remote = _repository(root / "claims/remote", "another", "git@example.org:acme/project0.git")
    pointer = root / "claims/pointer"
    pointer.mkdir()
    (pointer / ".git").write_text(f"gitdir: {victim}/.git\n")
    tree = root / "claims/tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {layout.first['project1']}/.git/worktrees/project1-side\n")
    common = _repository(root / "claims/common", "common", "")
    (common / ".git/commondir").write_text(f"{victim}/.git\n")
    link = root / "claims/link"
    link.mkdir()
    (link / ".git").symlink_to(victim / ".git")
    named = _repository(root / "claims/named", "named", "")
    (named / "khive.toml").write_text('[project]\nname = "project0"\n')
    shallow = root / "claims/shallow"
    git(victim, "commit", "-q", "--allow-empty", "-m", "second")
    git(victim, "clone", "-q", "--depth=1", f"file://{victim}", str(shallow))
    git(shallow, "remote", "set-url", "origin", "https://example.org/acme/project0")
    layout.claims += [remote, pointer, tree, common, link, named, shallow]
