"""The console script: `attach` and `hook` go straight to small modules, all else to click."""

import sys
from posix import O_RDWR, dup2, fstat, open, set_inheritable  # noqa: A004 - the descriptors' open


def main() -> None:
    """Run the command line."""
    open_missing()
    if len(sys.argv) > 1 and sys.argv[1] == "start":
        # Not above: with its enumerations it would cost each attach a quarter of its time.
        from signal import SIG_BLOCK, SIGHUP, pthread_sigmask

        # It asks for a reload; one that comes before anybody can serve it waits instead of killing.
        pthread_sigmask(SIG_BLOCK, (SIGHUP,))
    if len(sys.argv) > 1 and sys.argv[1] == "attach":
        from khive_supervisor.attach.command import main as attach

        attach(sys.argv[2:])
    if len(sys.argv) > 1 and sys.argv[1] == "hook":
        from khive_supervisor.attach.hook import main as hook

        hook(sys.argv[2:])
    from khive_supervisor.cli.main import main as command_line

    command_line()


def open_missing() -> None:
    """Open the standard descriptors that whoever started this has closed, on the null device.

    Otherwise the first file or socket that is opened would get such a number, and be taken for it.
    """
    missing = [fd for fd in (0, 1, 2) if not is_open(fd)]
    for fd in missing:
        null = open("/dev/null", O_RDWR)  # the lowest number that is free: this one, as a rule
        if null != fd:
            dup2(null, fd)
        set_inheritable(fd, True)
    if missing:
        import os

        for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, os.fdopen(fd, mode, closefd=False))


def is_open(fd: int) -> bool:
    """Return whether a descriptor is open."""
    try:
        fstat(fd)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
