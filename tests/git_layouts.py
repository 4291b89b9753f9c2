"""Directories as git leaves them, made by writing files."""

from __future__ import annotations

from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_directory(path: Path, config: str = "[core]\n\tbare = false\n") -> Path:
    """Make what a git directory has: a branch `main` with a commit."""
    for part in ("objects", "refs/heads"):
        (path / part).mkdir(parents=True)
    (path / "HEAD").write_text("ref: refs/heads/main\n")
    (path / "refs/heads/main").write_text(COMMIT + "\n")
    (path / "config").write_text(config)
    return path


def repository(top: Path, config: str = "[core]\n\tbare = false\n") -> Path:
    """Make a checkout with its own git directory."""
    git_directory(top / ".git", config)
    return top


def worktree(common: Path, top: Path, name: str = "side") -> Path:
    """Make a worktree as git does: two files that name each other."""
    own = common / "worktrees" / name
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n")
    (own / "commondir").write_text("../..\n")
    (own / "gitdir").write_text(f"{top}/.git\n")
    top.mkdir(parents=True)
    (top / ".git").write_text(f"gitdir: {own}\n")
    return top


def submodule(around: Path, path: str) -> Path:
    """Make a submodule: its git directory names the checkout in its configuration."""
    top = around / path
    up = "../" * (len(Path(path).parts) + 2)
    git_directory(around / ".git/modules" / path, f"[core]\n\tworktree = {up}{path}\n")
    top.mkdir(parents=True)
    (top / ".git").write_text(f"gitdir: {around}/.git/modules/{path}\n")
    return top
