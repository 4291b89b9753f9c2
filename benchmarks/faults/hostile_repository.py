"""Repositories in which everything that can name a program names a canary.

Needs the standard library and git alone, so that tests build the same ones. The keys are those of
the documentation of the git that is installed; a newer git's are among them by themselves.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: What git calls hooks (githooks(5)).
HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit",
    "prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge",
    "pre-push", "pre-receive", "update", "proc-receive", "post-receive", "post-update",
    "reference-transaction", "push-to-checkout", "pre-auto-gc", "post-rewrite",
    "sendemail-validate", "fsmonitor-watchman", "p4-changelist", "p4-prepare-changelist",
    "p4-post-changelist", "p4-pre-submit", "post-index-change",
)  # fmt: skip
#: Attributes that hand a file to a driver (gitattributes(5)).
ATTRIBUTES = "* filter=canary diff=canary merge=canary ident\n"
#: Keys for what the documentation writes as a placeholder.
_PLACEHOLDER = re.compile(r"<[^>]+>|\*")
_KEY = re.compile(r"[A-Za-z0-9-]+\.(.*\.)?[A-Za-z][A-Za-z0-9-]*")
#: Keys whose values, if they are no program, decide whether git works in the repository at all:
#: each has a case of its own.
_FORMAT = re.compile(r"extensions\..*|core\.(repositoryformatversion|bare|worktree)", re.IGNORECASE)


@dataclass
class Hostile:
    """A repository, the canary that it names, and what must stay as it is.

    Attributes:
        top: its checkout, with a commit.
        canary: a program that makes a file in `ran` and then does as it should.
        ran: the directory with a file for each program that ran.
        victim: a directory of the user's beside the repository.
        environ: the variables that a client has.
    """

    top: Path
    canary: Path
    ran: Path
    victim: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def git(self) -> Path:
        """The git directory."""
        return self.top / ".git"

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """git as the user runs it, before anything hostile is there."""
        return subprocess.run(
            ["git", *words],
            cwd=cwd or self.top,
            env={**self.environ, "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def configure(self, *lines: str, file: str = "config") -> None:
        """Append keys to a configuration of the repository: `section.sub.key=value`."""
        with (self.git / file).open("a", encoding="utf-8") as config:
            for line in lines:
                name, _, value = line.partition("=")
                section, _, key = name.rpartition(".")
                section, dot, sub = section.partition(".")
                shown = f'{section} "{sub}"' if dot else section
                escaped = value.replace("\\", "\\\\").replace('"', '\\"')
                config.write(f'[{shown}]\n\t{key} = "{escaped}"\n')

    def programs(self) -> list[str]:
        """Which canaries ran."""
        return sorted(path.name for path in self.ran.iterdir())


def make(top: Path) -> Hostile:
    """A repository with two commits and nothing hostile in it yet."""
    made = Hostile(top / "repository", top / "canary", top / "ran", top / "victim")
    made.environ = {"PATH": os.environ["PATH"], "HOME": str(top / "home")}
    for directory in (made.top, made.ran, made.victim, top / "home"):
        directory.mkdir(parents=True)
    (top / "home" / ".gitconfig").write_text("[user]\nname = n\nemail = n@example.org\n")
    (made.victim / "file").write_text("mine\n")
    (made.victim / "empty").touch()
    made.canary.write_text(
        "#!/bin/sh\n"
        f'touch "{made.ran}/$(basename "$0")-$(echo "$*" | tr -c "A-Za-z0-9\\n" _ | cut -c1-60)"\n'
        "exec cat\n"
    )
    made.canary.chmod(0o755)
    made.run("init", "-q", "-b", "main")
    (made.top / ".gitattributes").write_text(ATTRIBUTES)
    (made.top / "sub").mkdir()
    for name in ("one", "sub/two"):
        (made.top / name).write_text(f"{name}\n")
        made.run("add", ".")
        made.run("commit", "-qm", name)
    return made


def documented_keys() -> list[str]:
    """Every key that the documentation of this git names, with a name for each placeholder."""
    listed = subprocess.run(
        ["git", "help", "--config"], capture_output=True, text=True, check=True
    ).stdout.split()
    filled = {_PLACEHOLDER.sub("canary", key) for key in listed}
    keys = {key for key in filled if _KEY.fullmatch(key)}  # gitweb has one that git cannot read
    return sorted(key for key in keys if not _FORMAT.fullmatch(key))


def _every_key(one: Hostile) -> None:
    """All documented keys at once: that each of them is wrong for git shows that none is read."""
    one.configure(*(f"{key}={one.canary} {key}" for key in documented_keys()))


def _filters(one: Hostile) -> None:
    one.configure(
        *(f"filter.canary.{kind}={one.canary} {kind}" for kind in ("smudge", "clean")),
        "filter.canary.required=true",
    )


def _filter_process(one: Hostile) -> None:
    one.configure(f"filter.canary.process={one.canary} process")


def _own_attributes(one: Hostile) -> None:
    (one.git / "info").mkdir(exist_ok=True)
    (one.git / "info" / "attributes").write_text("* filter=other diff=other\n")
    one.configure(f"filter.other.smudge={one.canary} own", f"diff.other.command={one.canary} own")


def _hooks(one: Hostile) -> None:
    for place in (one.git / "hooks", one.top / "hooks"):
        place.mkdir(exist_ok=True)
        for name in HOOKS:
            (place / name).write_text(f"#!/bin/sh\nexec {one.canary} hook {name}\n")
            (place / name).chmod(0o755)


def _hooks_elsewhere(one: Hostile) -> None:
    _hooks(one)
    one.configure(f"core.hooksPath={one.top}/hooks")


def _monitor(one: Hostile) -> None:
    one.configure(f"core.fsmonitor={one.canary} fsmonitor", "core.fsmonitorHookVersion=1")


def _included(one: Hostile) -> None:
    (one.top / "included").write_text(
        f'[filter "canary"]\n\tsmudge = {one.canary} included\n[core]\n\tfsmonitor = {one.canary}\n'
    )
    one.configure(f"include.path={one.top}/included")
    one.configure(f"includeIf.gitdir:**.path={one.top}/included")


def _included_by_user(one: Hostile) -> None:
    _included(one)
    with (Path(one.environ["HOME"]) / ".gitconfig").open("a") as file:
        file.write(f"[include]\n\tpath = {one.top}/included\n")


def _worktree_configuration(one: Hostile) -> None:
    one.configure("core.repositoryformatversion=1", "extensions.worktreeConfig=true")
    one.configure(
        f"filter.canary.smudge={one.canary} worktree", f"core.fsmonitor={one.canary} worktree",
        file="config.worktree",
    )  # fmt: skip


def _diffs(one: Hostile) -> None:
    one.configure(
        f"diff.canary.textconv={one.canary} textconv", f"diff.canary.command={one.canary} diff",
        f"diff.external={one.canary} external", f"merge.canary.driver={one.canary} merge %A",
    )  # fmt: skip


def _programs_of_core(one: Hostile) -> None:
    keys = ("pager", "editor", "askPass", "sshCommand", "gitProxy", "alternateRefsCommand")
    one.configure(*(f"core.{key}={one.canary} {key}" for key in keys))
    one.configure(f"pager.status={one.canary}", f"pager.diff={one.canary}", "color.ui=always")


def _aliases(one: Hostile) -> None:
    names = ("status", "diff", "worktree", "rev-parse", "rev-list", "update-ref", "config")
    one.configure(*(f"alias.{name}=!{one.canary} alias {name}" for name in names))


def _signatures(one: Hostile) -> None:
    one.configure(
        f"gpg.program={one.canary}", f"gpg.ssh.program={one.canary}", "log.showSignature=true",
        "commit.gpgSign=true", "tag.gpgSign=true", "rebase.gpgSign=true",
        f"gpg.ssh.defaultKeyCommand={one.canary}", f"credential.helper=!{one.canary} helper",
    )  # fmt: skip


def _promised(one: Hostile) -> None:
    """A partial clone that lacks a file, and whose remote is a program."""
    blob = one.run("rev-parse", "HEAD:one")
    (one.git / "objects" / blob[:2] / blob[2:]).unlink()
    one.configure("core.repositoryformatversion=1", "extensions.partialClone=origin")
    one.configure(
        "remote.origin.promisor=true", f"remote.origin.url=ext::{one.canary} promised",
        f"remote.origin.uploadpack={one.canary} uploadpack", "protocol.ext.allow=always",
        f"core.sshCommand={one.canary} ssh", f"url.ext::{one.canary} .insteadOf=https://",
    )  # fmt: skip


def _submodules(one: Hostile) -> None:
    text = f'[submodule "s"]\n\tpath = s\n\turl = ext::{one.canary} %S\n\tupdate = !{one.canary}\n'
    (one.top / ".gitmodules").write_text(text)
    head = one.run("rev-parse", "HEAD")
    one.run("update-index", "--add", "--cacheinfo", f"160000,{head},s")
    one.run("add", ".gitmodules")
    one.run("commit", "-qm", "s")
    one.configure("submodule.recurse=true", f"submodule.s.update=!{one.canary} update")
    one.configure(f"submodule.s.url=ext::{one.canary} %S", "submodule.s.active=true")
    one.configure("status.submoduleSummary=true", "diff.submodule=log")


def _own_program(one: Hostile) -> None:
    """A program called git in the repository, and a relative directory first in PATH."""
    for name in ("git", "sh", "cat"):
        (one.top / name).write_text(f"#!/bin/sh\n{one.canary} path {name}\n")
        (one.top / name).chmod(0o755)
    one.environ["PATH"] = f".::{one.environ['PATH']}"


def _environment(one: Hostile) -> None:
    """What a client's environment may tell git."""
    names = ("SSH_COMMAND", "SSH", "ASKPASS", "EDITOR", "PAGER", "EXTERNAL_DIFF", "PROXY_COMMAND")
    one.environ |= {f"GIT_{name}": f"{one.canary} {name}" for name in names}
    one.environ |= {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(one.canary), "GIT_TRACE": str(one.victim / "file"),
        "GIT_TRACE2": str(one.victim / "file"), "GIT_CONFIG_GLOBAL": str(one.git / "config"),
        "GIT_EXEC_PATH": str(one.top), "GIT_DIR": str(one.victim), "GIT_TEMPLATE_DIR": "hooks",
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{one.canary}'", "PAGER": str(one.canary),
        "GIT_INDEX_FILE": str(one.victim / "file"), "EDITOR": str(one.canary),
        "GIT_OBJECT_DIRECTORY": str(one.victim), "SSH_ASKPASS": str(one.canary),
    }  # fmt: skip
    _filters(one)


def _link(name: str) -> Callable[[Hostile], None]:
    def link(one: Hostile) -> None:
        place = one.git / name
        if place.is_dir():
            place.rename(one.victim / "moved")
            place.symlink_to(one.victim / "moved")
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(one.victim / "empty" if name == "packed-refs" else one.victim)

    return link


def _linked_log(one: Hostile) -> None:
    for number in ("", *(f"-{n}" for n in range(2, 21))):
        place = one.git / "logs" / "refs" / "heads" / "khive" / f"dev-t1{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(one.victim / "file")
    one.configure("core.logAllRefUpdates=always")


def _linked_prefix(one: Hostile) -> None:
    """A directory of the checkout that is a link out of it in the commit."""
    (one.top / "out").symlink_to(one.victim)
    one.run("add", "out")
    one.run("commit", "-qm", "out")
    (one.top / "out").unlink()
    (one.top / "out").mkdir()


def _claimed(one: Hostile) -> None:
    """A checkout that says that its git directory is another repository of the user's."""
    one.git.rename(one.victim / "private.git")
    (one.top / ".git").write_text(f"gitdir: {one.victim}/private.git\n")


def _linked_git(one: Hostile) -> None:
    one.git.rename(one.victim / "private.git")
    (one.top / ".git").symlink_to(one.victim / "private.git")


def _pipes(one: Hostile) -> None:
    """Files that whoever opens them would wait on."""
    os.mkfifo(one.git / "config.worktree")
    os.mkfifo(one.git / "info" / "attributes")
    (one.git / "info" / "exclude").unlink(missing_ok=True)
    os.mkfifo(one.git / "info" / "exclude")


#: Every case by its name: what is done to a repository that is otherwise in order.
CASES: Mapping[str, Callable[[Hostile], None]] = {
    "every key of git's documentation": _every_key,
    "filters": _filters,
    "a filter process": _filter_process,
    "attributes of the git directory": _own_attributes,
    "hooks": _hooks,
    "hooks elsewhere": _hooks_elsewhere,
    "a file system monitor": _monitor,
    "included files": _included,
    "files that the user's own configuration includes": _included_by_user,
    "a worktree's configuration": _worktree_configuration,
    "diff and merge drivers": _diffs,
    "programs of core": _programs_of_core,
    "aliases": _aliases,
    "signatures and credentials": _signatures,
    "promised objects": _promised,
    "submodules": _submodules,
    "a program called git": _own_program,
    "a client's environment": _environment,
    "linked worktrees": _link("worktrees"),
    "linked references": _link("refs"),
    "linked branches": _link("refs/heads/khive"),
    "linked packed references": _link("packed-refs"),
    "a linked log": _linked_log,
    "a link in the caller's place": _linked_prefix,
    "a git directory elsewhere": _claimed,
    "a linked git directory": _linked_git,
    "pipes": _pipes,
}
