"""Where things live, decided from the environment alone, so that every process agrees.

Imports only C modules: the attach client uses it and starts in a few milliseconds.

`$XDG_RUNTIME_DIR` is not used on purpose: some MCP clients start their servers with a scrubbed
environment (HOME, PATH, LANG, SHELL, TERM), and would look for the socket elsewhere than the
terminal that started the supervisor.
"""

from _blake2 import blake2s
from posix import environ, getuid, mkdir, stat

#: The most bytes that a Unix socket's path may have (108 with its NUL on Linux, 104 on macOS).
SOCKET_PATH_LIMIT = 103


def env(name: str) -> str | None:
    """An environment variable as text; an empty one counts as unset."""
    value = environ.get(name.encode())
    return value.decode("utf-8", "surrogateescape") if value else None


def home() -> str:
    """The user's home directory."""
    found = env("HOME")
    if found:
        return found
    from pwd import getpwuid

    return getpwuid(getuid()).pw_dir


def config_home() -> str:
    """The directory of this project's configuration file for the user."""
    return (env("XDG_CONFIG_HOME") or home() + "/.config") + "/khive"


def data_home() -> str:
    """The directory of the store and its index."""
    return (env("XDG_DATA_HOME") or home() + "/.local/share") + "/khive"


def state_home() -> str:
    """The directory of the socket and the log."""
    return (env("XDG_STATE_HOME") or home() + "/.local/state") + "/khive"


def _exists(path: str) -> bool:
    try:
        stat(path)
    except OSError:
        return False
    return True


def make_private_directory(directory: str) -> None:
    """Make a directory and what is missing above it, for their owner alone.

    The permissions of what exists are never changed. Raises OSError.
    """
    if _exists(directory):
        return
    parent = directory.rpartition("/")[0]
    if parent:
        make_private_directory(parent)
    try:
        mkdir(directory, 0o700)
    except FileExistsError:
        return  # made by another process in between


def find_config(explicit: str | None, cwd: str) -> str | None:
    """The configuration file in force: flag, KHIVE_CONFIG, working directory, user's.

    An explicitly named file is returned even if it does not exist: its absence is an error that
    the loader reports, not a reason to use another one.
    """
    named = explicit or env("KHIVE_CONFIG")
    if named:
        return named if named.startswith("/") else cwd + "/" + named
    for candidate in (cwd + "/khive.toml", config_home() + "/khive.toml"):
        if _exists(candidate):
            return candidate
    return None


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
        path = config_file.encode("utf-8", "surrogateescape")
        name = blake2s(path, digest_size=8).hexdigest()
    return state_home() + "/run/" + name + ".sock"


def http_token_file(socket: str) -> str:
    """The file of the HTTP token that belongs to the supervisor at a socket."""
    return socket.removesuffix(".sock") + ".http-token"
