"""Who holds a store, as the lock beside it says, and where a supervisor may be found.

Imports C modules only, as attach does: a session of any configuration finds in a few system calls
the one supervisor that its store has.

The lock names its holder in lines: its pid alone, then `socket PATH`, `config FILE`,
`release NUMBER`, `prefix PATH` (its environment), and `end`. What is written stays when the holder
dies: only the kernel's lock (`held`) says that it lives.
"""

from posix import (
    O_CLOEXEC,
    O_NOFOLLOW,
    O_RDONLY,
    close,
    fstat,
    getuid,
    listdir,
    lstat,
    open,  # noqa: A004 - the descriptor-level open: this module has no file objects
    read,
    readlink,
    stat,
)

from khive_supervisor.host import paths

#: Bytes of a lock file that are read: far above four lines of paths.
MAX_LOCK = 16384
#: Links that are followed from a store's name to its file.
MAX_LINKS = 16
#: Sockets of one user that are tried when none of the likely ones answers.
MAX_SOCKETS = 32
#: Bits of a directory's mode: others may write, others may only remove what is theirs.
_WRITABLE, _STICKY = 0o022, 0o1000
_LOCK_SH, _LOCK_NB = 1, 4
#: What is named in the lock beside the pid.
_NAMED = ("socket", "config", "release", "prefix")


class Holder:
    """What the lock says of its holder; each but the pid may be unknown.

    Attributes:
        pid: its process.
        socket: where it listens; None if an older release wrote the lock.
        config: its configuration file; None for the defaults.
        release: its release.
        prefix: its environment, `sys.prefix`.
    """

    __slots__ = ("pid", *_NAMED)

    def __init__(
        self,
        pid: int,
        socket: "str | None" = None,
        config: "str | None" = None,
        release: "str | None" = None,
        prefix: "str | None" = None,
    ) -> None:
        self.pid = pid
        self.socket = socket
        self.config = config
        self.release = release
        self.prefix = prefix

    def encode(self) -> bytes:
        """Return the lock's content; a path with a line's end in it is left out."""
        named = ((name, getattr(self, name)) for name in _NAMED)
        lines = [f"{name} {value}" for name, value in named if value and "\n" not in value]
        text = "\n".join([str(self.pid), *lines, "end", ""])
        return text.encode("utf-8", "surrogateescape")

    def __str__(self) -> str:
        """Return the holder for people."""
        where = f", socket {self.socket}" if self.socket else ""
        what = f"configuration {self.config}" if self.config else "no configuration file"
        return f"pid {self.pid}{where}, {what}"


def decode(data: bytes) -> "Holder | None":
    """Return the holder that a lock's content names; None if it names none."""
    first, *rest = data.decode("utf-8", "surrogateescape").split("\n")
    if not (first.isascii() and first.isdigit() and len(first) < 12):
        return None
    named = {}
    for line in rest:
        if line == "end":
            break
        name, _, value = line.partition(" ")
        named[name] = value
    return Holder(int(first), *map(named.get, _NAMED))


def lock_path(store: str) -> str:
    """Return the lock of a store: beside the file that its name leads to."""
    for _ in range(MAX_LINKS):
        try:
            target = readlink(store)
        except OSError:
            break
        store = target if target.startswith("/") else store.rpartition("/")[0] + "/" + target
    return store + ".lock"


def named_by(store: str) -> "Holder | None":
    """Return whom the lock of a store names, alive or not; None if it is none of ours."""
    try:
        fd = open(lock_path(store), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    except OSError:
        return None
    try:
        return decode(read(fd, MAX_LOCK)) if fstat(fd).st_uid == getuid() else None
    except OSError:
        return None
    finally:
        close(fd)


def held(store: str) -> bool:
    """Return True if somebody has the lock of a store; never waits.

    Asking takes the shared lock for an instant: who wants the lock tries more than once.
    """
    import fcntl

    try:
        fd = open(lock_path(store), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, _LOCK_SH | _LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        close(fd)
    return False


def of(store: str) -> "Holder | None":
    """Return the living holder of a store; None if nobody holds it."""
    return named_by(store) if held(store) else None


def store_named() -> "str | None":
    """Return the store that KHIVE_STORE names, if it does."""
    named = paths.env("KHIVE_STORE")
    if named is None:
        return None
    if named.startswith("~/"):
        return paths.home() + named[1:]
    return named if named.startswith("/") else paths.working_directory() + "/" + named


def default_store() -> str:
    """Return the store of a configuration that names none."""
    return paths.data_home() + "/khive.db"


def candidates(config: "str | None") -> "list[str]":
    """Sockets where this session's supervisor may listen, the likeliest first.

    The store's lock is the user's own file: whoever it names is asked before a socket that only a
    variable names, which a client's project can set.
    """
    named = named_by(store_named() or default_store())
    likely = [paths.socket_path(config), paths.state_home() + "/run/supervisor.sock"]
    if named is not None and named.socket:
        likely.insert(0, named.socket)
    return list(dict.fromkeys(likely))


def others() -> "list[str]":
    """Sockets of this user's other supervisors, where they are by default."""
    directory = paths.state_home() + "/run"
    try:
        names = sorted(name for name in listdir(directory) if name.endswith(".sock"))
    except OSError:
        return []
    return [directory + "/" + name for name in names[:MAX_SOCKETS]]


def store_socket(store: str) -> str:
    """Return the socket that a store's name gives: no longer a path than the default one."""
    name = lock_path(store).removesuffix(".lock").encode("utf-8", "surrogateescape")
    return paths.state_home() + "/run/s-" + paths.digest(name)[:8] + ".sock"


def unsafe(path: str) -> "str | None":
    """Return why nothing must be sent to a socket: somebody else's, or others could replace it.

    None also for one that is not there.
    """
    try:
        here, there = lstat(path), stat(path)
        directory = stat(path.rpartition("/")[0] or "/")
    except OSError:
        return None
    for found in (here, there):
        if found.st_uid != getuid():
            return f"{path} belongs to another user (uid {found.st_uid})"
    if directory.st_uid not in (getuid(), 0):
        return f"the directory of {path} belongs to another user (uid {directory.st_uid})"
    if directory.st_mode & _WRITABLE and not directory.st_mode & _STICKY:
        return f"others may write to the directory of {path}, so that they could replace it"
    return None
