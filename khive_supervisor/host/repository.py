"""What lies in the repository that a session works in, and so is not its user's word.

Whoever made a repository chose its files, and through a client's project settings perhaps some
environment variables and arguments as well. So a configuration, a store or a socket in there is
the repository's own, by whatever name it was reached.

Imports only what every interpreter has loaded by then: the attach client uses it.
"""

import os
from os.path import lexists, normpath, realpath

#: What lies in the root of a repository: a directory, or a worktree's file.
MARKS = ("/.git", "/.jj")
#: Variables that name one file each; what they name must lie outside of the project.
FILES = ("KHIVE_CONFIG", "KHIVE_STORE", "KHIVE_SOCKET")
#: The variable that names a team's server; in a project, nobody can tell whose word it is.
URL = "KHIVE_STORE_URL"
#: Variables that name a directory each; a relative one counts as unset, as XDG's document says.
DIRECTORIES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
#: What khive keeps below a home directory, by which one is known.
OWN_PLACES = ("/.config/khive", "/.local/share/khive", "/.local/state/khive")
#: Directories in which everybody has something: no project, whatever somebody puts there.
SHARED = frozenset(
    {"/", "/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/private/var/tmp"}  # noqa: S108 - names
)


def repository_of(cwd: str, home: str) -> "str | None":
    """Return the outermost repository around a working directory, as a real path; None without one.

    The home directory, what is above it, and what everybody shares are never one.
    """
    own = realpath(home)
    above = reversed(steps(realpath(cwd)))
    return next((one for one in above if not _is_no_project(one, own) and has_mark(one)), None)


def project_of(cwd: str, home: str) -> "str | None":
    """Return the directory whose contents are not the user's word for a session, as a real path.

    That is its repository, or without one the working directory; None in the home directory,
    above it, and in what everybody shares.
    """
    directory = realpath(cwd)
    if _is_no_project(directory, realpath(home)):
        return None
    return repository_of(cwd, home) or directory


def _is_no_project(directory: str, home: str) -> bool:
    return directory in SHARED or within(home, directory)


def has_mark(directory: str) -> bool:
    """Return True if a directory is the root of a repository."""
    return any(lexists(directory + mark) for mark in MARKS)


def within(path: str, directory: str) -> bool:
    """Return True if a path is a directory or lies below it; both are real paths."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def parent(directory: str) -> str:
    """Return the directory above."""
    return directory.rpartition("/")[0] or "/"


def join(cwd: str, path: str) -> str:
    """Return a path that may be relative to a working directory, as an absolute one."""
    return path if path.startswith("/") else cwd + "/" + path


def holds(place: "str | None", path: str, cwd: str, home: str) -> bool:
    """Return True if a path leads through a project, and not to the user's own.

    Where it ends counts, and each step on the way: a link in a repository is its word, too. A
    relative path starts from `cwd`; `place` None holds nothing.
    """
    if place is None:
        return False
    named, target = normpath(join(cwd, path)), realpath(join(cwd, path))
    held = within(target, place)
    if not held and target != named:  # there are links on the way
        held = any(within(realpath(step), place) for step in steps(named))
    return held and not _is_own(target, place, home)


def steps(path: str) -> "list[str]":
    """Return an absolute path and all that are above it, up to the root."""
    found = [path]
    while path != "/":
        path = parent(path)
        found.append(path)
    return found


def _is_own(target: str, place: str, home: str) -> bool:
    """Return True for what lies in one of khive's own directories, and that in the project.

    A project may lie in one itself: a worktree of a task.
    """
    own = (realpath(home + part) for part in OWN_PLACES)
    return any(within(directory, place) and within(target, directory) for directory in own)


def distrust(cwd: str) -> "list[tuple[str, str]]":
    """Take the project's word out of this process's environment; (name, value) of each.

    What starts from here (a supervisor, a worker) does not see it either. KHIVE_CONFIG is among
    what is returned: its file may still say what a project's file may.
    """
    ignored = []
    home = os.environ.get("HOME")
    if home and (not home.startswith("/") or _misplaced(home, cwd)):
        ignored.append(("HOME", home))
        os.environ["HOME"] = account_home()
    home = os.environ.get("HOME") or account_home()
    if os.environ.get(URL) and project_of(cwd, home) is not None:
        # Whoever sets variables for a project's sessions would have all memories sent somewhere.
        ignored.append((URL, "a server"))
        del os.environ[URL]
    for name in FILES + DIRECTORIES:
        if (value := os.environ.get(name)) and _is_foreign(name, value, cwd, home):
            ignored.append((name, value))
            del os.environ[name]
    return ignored


def _is_foreign(name: str, value: str, cwd: str, home: str) -> bool:
    if name in FILES:
        value = home + value[1:] if value.startswith("~/") else value
    elif not value.startswith("/"):
        return True
    if not holds(project_of(cwd, home), value, cwd, home):
        return False
    usual = (home + part.removesuffix("/khive") for part in OWN_PLACES)
    return realpath(value) not in map(realpath, usual)


def account_home() -> str:
    """Return the home directory that the account has, whatever the environment says."""
    from pwd import getpwuid

    try:
        return getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's uid without an account
        return "/"


def _misplaced(home: str, cwd: str) -> bool:
    """Return True if HOME was pointed into a repository, and is no home that is kept in one.

    A home in a repository is one if it is the account's. Otherwise it is none if the session works
    in that repository and outside of this home, or if the repository lies in a home itself.
    """
    home = realpath(home)
    root = next((one for one in steps(home)[-2::-1] if has_mark(one)), None)
    if root is None:
        return False
    cwd, account = realpath(cwd), realpath(account_home())
    if account != "/" and within(account, root):
        return False
    if within(cwd, root) and not within(cwd, home):
        return True
    return (account != "/" and within(root, account)) or _in_a_home(parent(root))


def _in_a_home(directory: str) -> bool:
    return any(lexists(above + part) for above in steps(directory)[:-1] for part in OWN_PLACES)
