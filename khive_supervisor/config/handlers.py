"""Check that this machine has what roles' handlers need; asked at start, reload and by doctor."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.config.settings.values import quoted
from khive_supervisor.host import paths


@dataclass(frozen=True, slots=True)
class HandlerProblem:
    """What this machine lacks for a role; the configuration itself is valid."""

    role: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


def check_handlers(config: Config, environ: Mapping[str, str]) -> list[HandlerProblem]:
    """Return what is missing here for the roles to work: programs, modules, directories, variables.

    Nothing is imported and nothing is started.

    Args:
        config: a valid configuration.
        environ: the environment that the supervisor has, or would have.
    """
    problems = []
    for number, role in enumerate(config.roles):
        for key, text in _lacking(role, environ):
            problems.append(HandlerProblem(role.role, f"roles[{number}].{key}", text))
    return problems


def _lacking(role: Role, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    if role.cwd and not os.path.isdir(role.cwd):
        yield "cwd", f"there is no directory {quoted(role.cwd)}"
    for name in role.env_require:
        if name not in environ:
            yield "env_require", f"the environment variable {name} is not set"
    yield from _lacking_work(role, environ)
    fallback = role.budget.fallback
    if fallback and not _executable(fallback[0], role.cwd, environ):
        yield "budget.fallback", f"there is no program {quoted(fallback[0])}"
    if role.workdir == "worktree":
        programs = ("git", "jj") if role.vcs == "auto" else (role.vcs,)
        if not any(_executable(name, "", environ) for name in programs):
            yield "workdir", f"there is no program {programs[0]}, which makes the worktrees"


def _lacking_work(role: Role, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """What the handler lacks; of candidates, only if there is none that could work."""
    if not role.candidates:
        yield from _lacking_handler(role, environ)
        return
    lacks = [list(_lacking_candidate(role.by(one), environ)) for one in role.candidates]
    if all(lacks):
        for number, found in enumerate(lacks):
            yield from ((f"candidates[{number}].{key}", text) for key, text in found)


def _lacking_candidate(role: Role, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name in role.env_require:
        if name not in environ:
            yield "env_require", f"the environment variable {name} is not set"
    yield from _lacking_handler(role, environ)


def _lacking_handler(role: Role, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    if role.handler.python:
        top = role.handler.python.partition(":")[0].partition(".")[0]
        if not _importable(top, role.cwd):
            yield "handler.python", f"there is no Python package or module {quoted(top)}"
        return
    kind = "agent" if role.handler.agent else "command"
    program = (role.handler.agent or role.handler.command)[0]
    if not _executable(program, role.cwd, environ):
        yield f"handler.{kind}", f"there is no program {quoted(program)}"


def _importable(top: str, cwd: str) -> bool:
    """Return True if a worker would find it: in the role's own directory first, if it has one."""
    try:
        if cwd and importlib.machinery.PathFinder.find_spec(top, [cwd]) is not None:
            return True
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _executable(program: str, cwd: str, environ: Mapping[str, str]) -> bool:
    if os.sep in program:  # relative to where it will be started
        program = os.path.join(cwd or paths.home(), program)
    return shutil.which(program, path=environ.get("PATH", os.defpath)) is not None
