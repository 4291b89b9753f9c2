"""The console script: `attach` goes straight to its own small module, all else to click."""

import sys


def main() -> None:
    """Run the command line."""
    if len(sys.argv) > 1 and sys.argv[1] == "start":
        # Not above: with its enumerations it would cost each attach a quarter of its time.
        from signal import SIG_BLOCK, SIGHUP, pthread_sigmask

        # It asks for a reload; one that comes before anybody can serve it waits instead of killing.
        pthread_sigmask(SIG_BLOCK, (SIGHUP,))
    if len(sys.argv) > 1 and sys.argv[1] == "attach":
        from khive_supervisor.attach import main as attach

        attach(sys.argv[2:])
    from khive_supervisor.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
