"""git as a subprocess: a clean environment, a bounded time, and no hooks of the repository."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from khive_supervisor.errors import KhiveError

#: Seconds for one call; a checkout of a very large repository is the longest.
TIMEOUT = 120.0
#: Settings for every call. Hooks are the repository's own programs, meant for its people; a
#: monitor of the file system is a program, too, and would outlive the call.
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false")
#: Characters of what git says that an error repeats.
_SAID = 500


class GitFailed(KhiveError):
    """git could not do what was asked; the message has its own words."""

    code = "git_failed"


class Git:
    """Runs git; `stop` ends what runs, from another thread, and all that would follow."""

    def __init__(self, environ: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        # No GIT_DIR, GIT_INDEX_FILE or the like of whoever started this process.
        self._environ = {n: v for n, v in environ.items() if not n.startswith("GIT_")}
        # Looking writes nothing into the repository, and nobody is there to type a password.
        self._environ |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, *words: str, cwd: str) -> str:
        """What one call prints, without the last line end.

        Raises:
            GitFailed: it failed, took too long, was stopped, or there is no git.
        """
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        process = self._start(["git", *settings, *words], cwd)
        try:
            output, errors = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            process.communicate()
            raise GitFailed(
                f"git {words[0]} took longer than {self._timeout:g} s and was stopped."
            ) from None
        finally:
            self._process = None
        if process.returncode:
            said = (errors or output).decode("utf-8", "replace").strip()[-_SAID:]
            raise GitFailed(f"git {words[0]} failed: {said or f'exit code {process.returncode}'}")
        return output.decode("utf-8", "surrogateescape").removesuffix("\n")

    def ask(self, *words: str, cwd: str) -> str:
        """What one call prints; empty if it fails, which is an answer, too."""
        try:
            return self.run(*words, cwd=cwd)
        except GitFailed:
            return ""

    def _start(self, argv: list[str], cwd: str) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise GitFailed("It was stopped.")
            try:
                self._process = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                raise GitFailed(f"git could not be started in {cwd}: {error.strerror}.") from error
            return self._process

    def stop(self) -> None:
        """End what runs."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _end(self._process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
