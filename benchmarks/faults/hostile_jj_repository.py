"""jj repositories in which everything that can name a program names a canary.

Needs the standard library, git and a jj alone, so that tests build the same ones. The keys are
those of the schema that the jj at hand prints for its configuration; a newer jj's are among them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.faults.hostile_repository import Hostile, make

#: Where jj before 0.38 keeps what a repository and a workspace configure, below a checkout's top.
REPOSITORYS, WORKSPACES = ".jj/repo/config.toml", ".jj/workspace-config.toml"
#: Keys whose values, if they are no program, decide whether jj can be called at all, and keys that
#: a case of their own gives a value for which jj does start something.
_MEANT = {
    "ui.default-command", "ui.paginate", "ui.diff-formatter", "fsmonitor.backend",
    "signing.backend", "signing.behavior", "snapshot.auto-track", "snapshot.max-new-file-size",
    "git.fetch", "working-copy.eol-conversion", "ui.color", "revset-aliases.immutable_heads()",
    "git.private-commits", "ui.conflict-marker-style", "merge.hunk-level", "merge.same-change",
}  # fmt: skip
_TABLES = ("revsets", "templates", "diff", "colors", "--when", "ui.graph", "ui.streampager")
#: What stands for a name that the repository chooses.
_NAMED = "canary"


def make_jj(top: Path, jj: str) -> Hostile:
    """A colocated repository with two commits, and nothing hostile in it yet."""
    made = make(top)
    programs = top / "bin"
    programs.mkdir()
    (programs / "jj").symlink_to(jj)
    made.environ["PATH"] = f"{programs}:{made.environ['PATH']}"
    user = top / "home" / ".config" / "jj"
    user.mkdir(parents=True)
    (user / "config.toml").write_text('[user]\nname = "n"\nemail = "n@example.org"\n')
    _jj(made, "git", "init", "--colocate")
    return made


def _jj(one: Hostile, *words: str) -> str:
    done = subprocess.run(
        ["jj", "--no-pager", "--quiet", *words],
        cwd=one.top, env=one.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def schema_keys(one: Hostile) -> list[tuple[str, bool]]:
    """Each key of jj's schema that takes words, and whether it takes a list of them."""
    schema = json.loads(_jj(one, "util", "config-schema"))
    return sorted(set(_keys(schema, ())))


def _keys(node: Mapping[str, object], path: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    for name, below in _mapping(node.get("properties")).items():
        child = _mapping(below)
        here = (*path, name)
        yield from _keys(child, here)
        key = ".".join(part if part.replace("-", "").isalnum() else f'"{part}"' for part in here)
        said = child.get("type")
        kinds = [said] if isinstance(said, str) else list(said) if isinstance(said, list) else []
        if "$ref" in child or not kinds:
            kinds = ["string", "array"]
        if key not in _MEANT and not key.startswith(_TABLES):
            yield from ((key, kind == "array") for kind in kinds if kind in ("string", "array"))
    if below := _mapping(node.get("additionalProperties")):
        yield from _keys(below, (*path, _NAMED))


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _configure(one: Hostile, *lines: str, file: str = REPOSITORYS) -> None:
    with (one.top / file).open("a", encoding="utf-8") as config:
        config.writelines(f"{line}\n" for line in lines)


def _everywhere(one: Hostile, *lines: str) -> None:
    _configure(one, *lines)
    _configure(one, *lines, file=WORKSPACES)


def _signing(backend: str) -> Callable[[Hostile], None]:
    def spoil(one: Hostile) -> None:
        _everywhere(
            one,
            f'signing.backend = "{backend}"', 'signing.behavior = "force"', 'signing.key = "k"',
            f'signing.backends.{backend}.program = "{one.canary}"',
            "ui.show-cryptographic-signatures = true",
        )  # fmt: skip

    return spoil


def _watched(one: Hostile) -> None:
    watchman = one.top.parent / "bin" / "watchman"
    watchman.symlink_to(one.canary)
    _everywhere(
        one, 'fsmonitor.backend = "watchman"', "fsmonitor.watchman.register-snapshot-trigger = true"
    )


def _tools(one: Hostile) -> None:
    said = f'["{one.canary}", "$left", "$right"]'
    _everywhere(
        one,
        f"ui.diff-formatter = {said}", f"ui.diff-editor = {said}", f"ui.merge-editor = {said}",
        f'ui.editor = "{one.canary}"', f'ui.pager = "{one.canary}"', 'ui.paginate = "auto"',
        f'merge-tools.canary.program = "{one.canary}"',
    )  # fmt: skip


def _aliases(one: Hostile) -> None:
    run = f'["util", "exec", "--", "{one.canary}"]'
    words = ("workspace", "status", "log", "diff", "bookmark", "git", "file", "edit", "st")
    _everywhere(one, *(f"aliases.{word} = {run}" for word in words))
    _everywhere(one, f"ui.default-command = {run}")


def _fixes(one: Hostile) -> None:
    _everywhere(
        one, f'fix.tools.canary.command = ["{one.canary}"]', 'fix.tools.canary.patterns = ["all()"]'
    )


def _executable(one: Hostile) -> None:
    _everywhere(one, f'git.executable-path = "{one.canary}"')


def _all_keys(one: Hostile) -> None:
    """Every key of the schema, in the repository's configuration; a list where it takes one."""
    for key, is_list in dict(schema_keys(one)).items():
        said = f'["{one.canary}"]' if is_list else f'"{one.canary}"'
        _configure(one, f"{key} = {said}")


def _git_beside(one: Hostile) -> None:
    """What git beside would run: hooks, filters, monitors, and files that are included."""
    (one.top.parent / "included").write_text(f"[core]\n\tfsmonitor = {one.canary}\n")
    one.configure(
        f"core.fsmonitor={one.canary}", f"core.hooksPath={one.top.parent / 'hooks'}",
        f"filter.canary.smudge={one.canary}", f"filter.canary.clean={one.canary}",
        f"filter.canary.process={one.canary}", f"core.sshCommand={one.canary}",
        f"gpg.program={one.canary}", "commit.gpgSign=true", f"credential.helper=!{one.canary}",
        f"include.path={one.top.parent / 'included'}", f"core.gitProxy={one.canary}",
    )  # fmt: skip
    (one.top.parent / "hooks").mkdir()
    for hook in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        (one.top.parent / "hooks" / hook).symlink_to(one.canary)


CASES: dict[str, Callable[[Hostile], None]] = {
    "signatures of gpg": _signing("gpg"),
    "signatures of gpgsm": _signing("gpgsm"),
    "signatures of ssh": _signing("ssh"),
    "a file system monitor": _watched,
    "tools, editor and pager": _tools,
    "aliases": _aliases,
    "tools that fix": _fixes,
    "another git": _executable,
    "every key of the schema": _all_keys,
    "what git runs": _git_beside,
}
