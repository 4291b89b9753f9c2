"""git as a subprocess: its own environment, a bounded time, and no word of anybody's configuration.

What runs here is git alone. Its environment has no more than the way to its program, so that no
variable of a client names another one; configurations of the system and the user are not read,
since they may include files of a repository; a repository's own is never read either (see
`shadow`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping

from khive_supervisor.errors import GitFailed
from khive_supervisor.host.processes import end_group

#: Seconds for one call; a checkout of a very large repository is the longest.
TIMEOUT = 120.0
#: Settings for every call, above all that a configuration could say: a second lock on a door that
#: the missing configuration has shut.
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null", "core.pager=cat", "core.editor=false", "core.askPass=false",
    "core.sshCommand=false", "core.gitProxy=false", "core.alternateRefsCommand=false",
    "credential.helper=", "protocol.allow=never", "submodule.recurse=false", "gc.auto=0",
    "maintenance.auto=false", "log.showSignature=false", "commit.gpgSign=false",
)  # fmt: skip
#: The only variables that git inherits.
_INHERITED = ("TMPDIR", "TZ")
#: Nobody's configuration or attributes, nothing fetched, nobody asked, nothing written by a look.
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "",
    "HOME": "/dev/null",
    "XDG_CONFIG_HOME": "/dev/null",
}
#: Characters of what git says that an error repeats.
_SAID = 500


class Git:
    """Runs git; `stop` ends what runs, from another thread, and all that would follow."""

    def __init__(self, environ: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        # A relative directory of PATH would be one of the repository.
        path = environ.get("PATH", os.defpath).split(os.pathsep)
        self._path = os.pathsep.join(part for part in path if os.path.isabs(part))
        kept = {name: environ[name] for name in _INHERITED if name in environ}
        self._environ = {**kept, **_ENVIRONMENT, "PATH": self._path}
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(
        self,
        *words: str,
        cwd: str,
        variables: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """Return what one call prints, without the last line end.

        `variables` say where the repository is, beside the usual environment.

        Raises:
            GitFailed: it failed, took too long, was stopped, or there is no git.
        """
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        process = self._start([*settings, *words], cwd, variables or {}, stdin is not None)
        try:
            output, errors = process.communicate(stdin, timeout=self._timeout)
        except subprocess.TimeoutExpired:
            end_group(process.pid)
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

    def _start(
        self, arguments: list[str], cwd: str, variables: Mapping[str, str], reads: bool
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise GitFailed("It was stopped.")
            program = shutil.which("git", path=self._path)
            if program is None:
                raise GitFailed(f"There is no program git in {self._path}.")
            try:
                self._process = subprocess.Popen(
                    [program, *arguments],
                    cwd=cwd,
                    env={**self._environ, **variables},
                    stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
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
                end_group(self._process.pid)
