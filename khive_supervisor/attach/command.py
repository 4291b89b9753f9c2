"""`khive-supervisor attach`: pass this process's pipes to a session worker, wait, exit as it did.

Imports C modules only, so that a session starts in milliseconds: no json, no socket module, no
click. The slow paths (starting a supervisor, serving without one) are other processes.
"""

import _signal  # type: ignore[import-not-found]  # the C module has no stub
import sys
from posix import _exit, cpu_count, environ, execv, getloadavg, write
from time import monotonic, sleep

from khive_supervisor.attach.channel import (
    INBOX,
    JOURNAL,
    LONGEST_PAUSE,
    PAUSE,
    OtherRelease,
    StartTerms,
    Unserved,
    again,
    futile_attaches,
    offer,
    open_memory,
    refuse,
    resumed,
    say,
)
from khive_supervisor.exitcodes import PERMANENT, VERSION_MISMATCH
from khive_supervisor.host import holder, paths

#: Attempts to reach a new worker after one was lost, before a supervisor is started again.
QUICK_RETRIES = 3
#: Lost workers in a row, each without having answered anything, before the session serves itself.
MAX_FUTILE = 8
#: Seconds after which a session without a supervisor serves itself, although nothing is known to be
#: wrong; and how many times as long at most while more processes want a processor than there are:
#: an interpreter for each session would make that worse, and take even longer.
PATIENCE, BUSIEST = 20.0, 3.0
#: The same for a session whose client is at work with it: it waits for the answer to a call.
PATIENCE_AT_WORK = 2.5
#: The same for one that served itself and comes over: nothing is asked, so nobody waits. Where a
#: worker takes longer to start than a client at work may wait, it would go to and fro for ever.
PATIENCE_COMING = 8.0
#: Starts in a row that fail, after which it does so at once.
MAX_FAILED = 3


def argument(argv: "list[str]", name: str) -> "str | None":
    """The value of `--name VALUE` or `--name=VALUE`, if given."""
    for position, word in enumerate(argv):
        if word == name and position + 1 < len(argv):
            return argv[position + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
    return None


def ignored_before(argv: "list[str]") -> "list[tuple[str, str]]":
    """What the process that this one was before has ignored."""
    found = []
    for position, word in enumerate(argv[:-1]):
        if word == "--ignored":
            name, _, value = argv[position + 1].partition("=")
            found.append((name, value))
    return found


def look(terms: StartTerms) -> bool:
    """Offer the session to whoever there is; returns if nobody takes it.

    True if a supervisor has to be started whoever listens: the session means another store.
    """
    first = paths.socket_path(terms.config)
    if why := holder.unsafe(first):
        refuse(why)
    likely = holder.candidates(terms.config)
    for path in likely:
        answer = offer(path, terms) if holder.unsafe(path) is None else None
        if answer is not None:
            return redirected(answer, terms)
    for path in holder.others():
        answer = offer(path, terms) if path not in likely else None
        if answer is not None:
            return redirected(answer, terms)
    return False


def redirected(path: str, terms: StartTerms) -> bool:
    """Go where a supervisor has sent us, if anywhere; returns True if nobody takes the session."""
    if path:
        offer(path, terms)
    return True


def attach(terms: StartTerms, patience: float) -> None:
    """Attach, which becomes what waits for the session's end, or exits.

    Returns if the session has to serve itself.
    """
    try:
        look_and_start(terms, patience)
    except OtherRelease:
        from khive_supervisor.attach.start import replaced

        if replaced(terms):
            execv(sys.executable, again(terms))
        if not resumed():
            _exit(VERSION_MISMATCH)
    except Unserved:
        pass


def look_and_start(terms: StartTerms, patience: float) -> None:
    """Look for a supervisor, and start one, until the time is over: for a session, `patience`.

    Raises:
        OtherRelease, Unserved: as `offer`.
    """
    futile = futile_attaches(JOURNAL)
    if futile > MAX_FUTILE:
        say("this session's workers keep dying; it serves itself. See `khive-supervisor logs`.")
        return
    if futile:
        sleep(pause(futile))
    until, failed, attempt = monotonic() + PATIENCE * busy(), 0, 0
    if resumed():
        until = terms.until = monotonic() + patience
    while True:
        attempt += 1
        must_start = look(terms)
        # A worker that was lost with its supervisor: that may be back in a moment.
        if attempt > QUICK_RETRIES or must_start or not resumed():
            from khive_supervisor.attach.start import start

            failed = failed + 1 if start(terms, until, must_start) else 0
        if monotonic() > until or failed == MAX_FAILED:
            say("no supervisor can be had now; this session serves itself meanwhile.")
            return
        sleep(pause(attempt))


def busy() -> float:
    """How many processes want each processor, between 1 and BUSIEST."""
    try:
        wanted = getloadavg()[0]
    except OSError:
        return 1.0
    return max(1.0, min(BUSIEST, wanted / (cpu_count() or 1)))


def pause(attempt: int) -> float:
    """Seconds before the attempt that follows this one."""
    return min(LONGEST_PAUSE, PAUSE * 2.0 ** min(attempt, 10))


def main(argv: "list[str]") -> None:
    """The command; `argv` is what follows `attach`."""
    if "--help" in argv or "-h" in argv:
        write(1, __doc__.split("\n\n")[0].encode() + b"\n\nUsage: attach [--config FILE]\n")
        _exit(0)
    # Die quietly as any program would; the worker sees the channel end.
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_DFL)
    if (foreign := paths.foreign_home()) is not None:
        say(foreign)
        _exit(PERMANENT)
    cwd, explicit = paths.working_directory(), argument(argv, "--config")
    ignored = ignored_before(argv) + paths.distrust(explicit, cwd)
    terms = StartTerms(paths.find_config(explicit, cwd), ignored)
    if environ.get(b"KHIVE_NO_DAEMON", b"").lower() in (b"", b"0", b"false"):
        check_path(paths.socket_path(terms.config))
        if "--again" not in argv:
            open_memory(JOURNAL)
            open_memory(INBOX)
        attach(terms, PATIENCE_COMING * busy() if "--comes-over" in argv else PATIENCE_AT_WORK)
    from khive_supervisor.attach.reserve import serve_alone

    serve_alone(terms)


def check_path(path: str) -> None:
    """Leave if a socket's path is longer than the kernel takes."""
    if len(path.encode("utf-8", "surrogateescape")) > paths.SOCKET_PATH_LIMIT:
        say(
            f"the socket path is longer than {paths.SOCKET_PATH_LIMIT} bytes: {path}. "
            "Set KHIVE_SOCKET to a shorter path, the same for every client."
        )
        _exit(PERMANENT)
