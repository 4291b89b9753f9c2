"""A version control program as a subprocess: an environment of its own, and a bounded time.

Its environment has no more than it is given here, so that no variable of a client names another
program, and relative directories of PATH, which would be the repository's, are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from typing import ClassVar

from khive_supervisor.errors import VcsFailed
from khive_supervisor.host.processes import end_group

#: Seconds for one call; a checkout of a very large repository is the longest.
TIMEOUT = 120.0
#: The only variables that a program inherits, beside its PATH.
_INHERITED = ("TMPDIR", "TZ")
#: Characters of what a program says that an error repeats.
_SAID = 500


class VcsProgram:
    """Runs one program; `stop` ends what runs, from another thread, and all that would follow."""

    name: ClassVar[str] = ""
    failure: ClassVar[type[VcsFailed]] = VcsFailed
    #: Words before those of each call.
    before: ClassVar[tuple[str, ...]] = ()
    #: Variables that each call has.
    fixed: ClassVar[Mapping[str, str]] = {}

    def __init__(self, environ: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        path = environ.get("PATH", os.defpath).split(os.pathsep)
        self._path = os.pathsep.join(part for part in path if os.path.isabs(part))
        kept = {name: environ[name] for name in _INHERITED if name in environ}
        self._environ = {**kept, "PATH": self._path, **self.fixed}
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def program(self) -> str | None:
        """Return the program's path; None if there is none."""
        return shutil.which(self.name, path=self._path)

    def run(
        self,
        *words: str,
        cwd: str,
        variables: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """Return what one call prints, without the last line end.

        `variables` stand beside, or in the place of, those of the usual environment.

        Raises:
            VcsFailed: it failed, took too long, was stopped, or there is no such program; of the
                program's own kind.
        """
        process = self._start([*self.before, *words], cwd, variables or {}, stdin is not None)
        try:
            output, errors = process.communicate(stdin, timeout=self._timeout)
        except subprocess.TimeoutExpired:
            end_group(process.pid)
            process.communicate()
            raise self.failure(
                f"{self.name} {words[0]} took longer than {self._timeout:g} s and was stopped."
            ) from None
        finally:
            self._process = None
        if process.returncode:
            said = (errors or output).decode("utf-8", "replace").strip()[-_SAID:]
            raise self.failure(
                f"{self.name} {words[0]} failed: {said or f'exit code {process.returncode}'}"
            )
        return output.decode("utf-8", "surrogateescape").removesuffix("\n")

    def _start(
        self, arguments: list[str], cwd: str, variables: Mapping[str, str], reads: bool
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise self.failure("It was stopped.")
            program = self.program
            if program is None:
                raise self.failure(f"There is no program {self.name} in {self._path}.")
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
                raise self.failure(
                    f"{self.name} could not be started in {cwd}: {error.strerror}."
                ) from error
            return self._process

    def stop(self) -> None:
        """End what runs."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                end_group(self._process.pid)
