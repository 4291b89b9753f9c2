"""Where things live, decided from the environment alone, so that every process agrees.

Imports C modules and what every interpreter has loaded: the attach client uses it and starts in a
few milliseconds.

`$XDG_RUNTIME_DIR` is not used on purpose: some MCP clients start their servers with a scrubbed
environment (HOME, PATH, LANG, SHELL, TERM), and would look for the socket elsewhere than the
terminal that started the supervisor.
"""

from _blake2 import blake2s
from _collections_abc import Callable
from os.path import exists
from posix import environ, getcwd, geteuid, getuid, mkdir, stat

from khive_supervisor.host import repository

#: The most bytes that a Unix socket's path may have (108 with its NUL on Linux, 104 on macOS).
SOCKET_PATH_LIMIT = 103


def env(name: str) -> str | None:
    """Return an environment variable as text; an empty one counts as unset."""
    value = environ.get(name.encode())
    return value.decode("utf-8", "surrogateescape") if value else None


def working_directory() -> str:
    """Return the working directory of this process; "/" when it was removed."""
    try:
        return getcwd()
    except OSError:
        return "/"


def digest(name: bytes) -> str:
    """Return a short name for a long one, for the names of files."""
    return blake2s(name, digest_size=8).hexdigest()


def home() -> str:
    """Return the user's home directory."""
    found = env("HOME")
    if found:
        return found
    from pwd import getpwuid

    return getpwuid(getuid()).pw_dir


def config_home() -> str:
    """Return the directory of this project's configuration file for the user."""
    return (env("XDG_CONFIG_HOME") or home() + "/.config") + "/khive"


def data_home() -> str:
    """Return the directory of the store and its index."""
    return (env("XDG_DATA_HOME") or home() + "/.local/share") + "/khive"


def state_home() -> str:
    """Return the directory of the socket and the log."""
    return (env("XDG_STATE_HOME") or home() + "/.local/state") + "/khive"


def foreign_home() -> "str | None":
    """Return why nothing is written below HOME; None if it may be.

    Root with the HOME of another user (`sudo` keeps it) would leave files there that their owner
    cannot touch. Where XDG's variables lead elsewhere, those directories are judged by themselves.
    A relative path would be another directory for each process that works in another one.
    """
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        if not (env(name) or "/").startswith("/"):
            return (
                f"{name} is {env(name)!r}, which is relative: each process would have its own "
                "files by it. Use an absolute path."
            )
    own = home()
    if geteuid() or not any(p.startswith(own + "/") for p in (data_home(), state_home())):
        return None
    try:
        owner = stat(own).st_uid
    except OSError:
        return None
    if owner == 0:
        return None
    return (
        f"HOME is {own}, which belongs to uid {owner}, and this is root: its files there would "
        "lock their owner out. Use `sudo -H`, or set HOME to a directory of root's."
    )


def make_private_directory(directory: str) -> None:
    """Make a directory and what is missing above it, for their owner alone.

    The permissions of what exists are never changed. Raises OSError, also where it would be made
    in another user's directory: root's files there would lock that user out.
    """
    try:
        owner = stat(directory).st_uid
    except FileNotFoundError:
        parent = directory.rpartition("/")[0]
    else:
        if owner not in (geteuid(), 0):
            raise PermissionError(1, f"it belongs to uid {owner}, and not to this user", directory)
        return
    if parent:
        make_private_directory(parent)
    try:
        mkdir(directory, 0o700)
    except FileExistsError:
        return  # made by another process in between


def find_config(explicit: str | None, cwd: str) -> str | None:
    """The user's configuration file: `--config`, KHIVE_CONFIG, or the user's own directory's.

    One that lies in the session's repository is the repository's word, whoever named it, and is
    passed over; see `distrust`. Another one is returned even if it does not exist: its
    absence is an error that the loader reports, not a reason to use the next.
    """
    # An argument was typed, in a directory that may well be no project; a variable may come from
    # a client's settings there.
    if explicit and _trusted(explicit, repository.repository_of, cwd):
        return repository.join(cwd, explicit)
    named = env("KHIVE_CONFIG")
    if named and _trusted(named, repository.project_of, cwd):
        return repository.join(cwd, named)
    own = config_home() + "/khive.toml"
    return own if exists(own) else None


def distrust(explicit: str | None, cwd: str) -> list[tuple[str, str]]:
    """Return what the project of a directory says and its user does not: (name, value) of each.

    Variables are taken out of this process's environment, and `find_config` passes over what
    `--config` named.
    """
    ignored = repository.distrust(cwd)
    if explicit and not _trusted(explicit, repository.repository_of, cwd):
        ignored.append(("--config", repository.join(cwd, explicit)))
    return ignored


def _trusted(name: str, place: Callable[[str, str], str | None], cwd: str) -> bool:
    own = home()
    return not repository.holds(place(cwd, own), name, cwd, own)


def socket_path(config_file: str | None) -> str:
    """The control socket: KHIVE_SOCKET, or one per configuration file below the state directory.

    The user's own configuration (or none) shares one socket; a project's file has its own, named
    by a hash of its path, so that two configurations never meet one supervisor by accident.
    """
    explicit = env("KHIVE_SOCKET")
    if explicit:
        return explicit
    if config_file is None or config_file == config_home() + "/khive.toml":
        name = "supervisor"
    else:
        name = digest(config_file.encode("utf-8", "surrogateescape"))
    return state_home() + "/run/" + name + ".sock"


def http_token_file(socket: str) -> str:
    """Return the file of the HTTP token that belongs to the supervisor at a socket."""
    return socket.removesuffix(".sock") + ".http-token"


def login_page(socket: str) -> str:
    """Return the file that leads a browser to the page of the supervisor at a socket."""
    return socket.removesuffix(".sock") + ".open.html"
