"""Where tasks may be done: in the caller's own project, and where the user's configuration says.

A caller is an agent, which reads what others wrote: what it names as a directory is a wish. Paths
are judged by what they really are, and again when the work begins, since they may have become
links meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from khive_supervisor.errors import Denied, InvalidInput, NoPlace
from khive_supervisor.host import paths
from khive_supervisor.host.repository import within
from khive_supervisor.vcs import git_repository, jj_repository
from khive_supervisor.vcs.git_repository import Repository
from khive_supervisor.vcs.jj_repository import JjRepository

#: Directories of the system: nobody's project, whoever stands in them.
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run",
    "/sbin", "/sys", "/usr", "/var/lib", "/var/log", "/var/run", "/var/spool",
    "/Library", "/System", "/private/etc", "/private/var/db",
)  # fmt: skip
#: Links below these are another directory in each process.
_MAGIC = ("/proc", "/dev")


def resolve(asked: str, session: str, roots: Sequence[str]) -> str:
    """Return the real path of a directory that a task may be done in.

    `asked` is what the caller names, `session` the directory of its session, and `roots` what the
    configuration allows beside its project.

    Raises:
        InvalidInput: it is no absolute path of a directory that exists.
        Denied: it is not below what is allowed, or another user's.
    """
    if "\0" in asked or not os.path.isabs(asked) or not os.path.isdir(asked):
        raise InvalidInput(
            f"The cwd {asked!r} is not the absolute path of a directory that exists.",
            hint="Leave it out for the session's own directory.",
        )
    if _below_any(os.path.normpath(asked), _MAGIC):
        raise _denied(asked, "is another directory for each process")
    real = os.path.realpath(asked)
    _check_owner(real)
    configured = [os.path.realpath(os.path.expanduser(root)) for root in roots if root]
    if _below_any(real, configured):
        return real
    if real == "/" or _below_any(real, SYSTEM):
        raise _denied(real, "is a directory of the system")
    if not _of_project(real, session):
        raise _denied(real, "is not below the project that this session is in")
    return real


def check_again(directory: str) -> None:
    """Check that a directory is still what it was when the task was assigned.

    Raises:
        NoPlace: it has become a link, or somebody else's.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise NoPlace(
            f"The caller's directory {directory} cannot be opened: {error.strerror}.",
            hint="Assign the task again with another cwd.",
        ) from error
    try:
        found = os.fstat(descriptor)
        real = os.path.realpath(directory)
        same = real == directory and os.path.samestat(found, os.stat(real))
    finally:
        os.close(descriptor)
    if found.st_uid != os.geteuid():
        raise NoPlace(
            f"The caller's directory {directory} belongs to uid {found.st_uid}, and not to this "
            "user.",
            hint="Assign the task again with a directory of your own as its cwd.",
        )
    if not same:
        raise NoPlace(
            f"The caller's directory {directory} is not what it was when the task was assigned.",
            hint="Assign the task again with its real path as its cwd.",
        )


def _check_owner(real: str) -> None:
    owner = os.stat(real).st_uid
    if owner != os.geteuid():
        raise Denied(
            f"The cwd {real} belongs to uid {owner}, and not to this user.",
            hint="Name a directory of your own.",
        )


def _of_project(real: str, session: str) -> bool:
    """Return True if a directory is of the project that a session is in."""
    if not os.path.isabs(session) or not os.path.isdir(session):
        return False
    here = os.path.realpath(session)
    home = os.path.realpath(paths.home())
    if os.stat(here).st_uid != os.geteuid() or (here != home and within(home, here)):
        return False  # a directory around the home is nobody's project
    mine = _repositories(here)
    if not mine:
        return within(real, here) and not (here == home and _hidden(real, home))
    if any(_below_any(real, (one.top, one.main)) for one in mine):
        return not (mine[0].top == home and _hidden(real, home))
    return not {one.common for one in mine}.isdisjoint(one.common for one in _repositories(real))


def _repositories(directory: str) -> list[Repository | JjRepository]:
    """Return the nearest repository of this user's that knows its checkout; git's and jj's."""
    found = [one for one in (_of_git(directory), _of_jj(directory)) if one is not None]
    nearest = max((len(one.top) for one in found), default=0)
    return [one for one in found if len(one.top) == nearest]


def _of_git(directory: str) -> Repository | None:
    try:
        found = git_repository.find(directory)
    except (NoPlace, OSError):
        return None
    return None if found is None or found.claimed else found


def _of_jj(directory: str) -> JjRepository | None:
    try:
        return jj_repository.find(directory)
    except (NoPlace, OSError):
        return None


def _hidden(real: str, home: str) -> bool:
    """Return True if it is in a hidden directory of the home: keys, settings, programs' states."""
    return os.path.relpath(real, home).startswith(".") and real != home


def _below_any(path: str, roots: Sequence[str]) -> bool:
    return any(within(path, root) for root in roots)


def _denied(path: str, why: str) -> Denied:
    return Denied(
        f"The cwd {path} {why}: tasks are done in the caller's project.",
        hint='The user can allow it in their own configuration: roots = ["'
        f'{_shown(os.path.realpath(path))}"] below [agents].',
    )


def _shown(path: str) -> str:
    home = os.path.realpath(paths.home())
    return f"~{path.removeprefix(home)}" if home != "/" and within(path, home) else path
