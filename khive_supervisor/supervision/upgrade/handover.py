"""Giving way to another release, in place: tried first, then this process becomes it.

The process is replaced by `exec`: its number, the store's lock and the listening sockets stay, so
that there is no moment at which a third could take the store, and connections that come meanwhile
wait in the socket's queue. When is decided by `upgrade`; docs/adr/0023 says why it is done so.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import khive_supervisor
from khive_supervisor import __version__, logs
from khive_supervisor.errors import BootFailure, InvalidInput
from khive_supervisor.supervision.upgrade import states as upgrade
from khive_supervisor.supervision.upgrade.inherited import Inherited
from khive_supervisor.supervision.upgrade.states import Upgrade, UpgradePhase, UpgradeStatus
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.upgrade")

#: Seconds between two looks at the disk; a client of another release brings one at once.
LOOK_EVERY = 5.0
#: Seconds that a release may take to be tried: it imports everything, on a busy machine.
TRIAL_DEADLINE = 60.0
#: Bytes of a trial's answer, and of its last words, that are read.
_ANSWER_LIMIT = 1 << 20
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Successor:
    """What takes over: an interpreter, and what its environment has beside the supervisor's."""

    executable: str
    release: str
    environment: Mapping[str, str] = field(default_factory=dict)


def become(successor: Successor, kept: Inherited, config_file: str | None, *, http: bool) -> None:
    """Replace this process; returns only by raising.

    Raises:
        BootFailure: the interpreter is gone.
    """
    for descriptor in (kept.lock, kept.listener, kept.http):
        if descriptor is not None:
            os.set_inheritable(descriptor, True)
    argv = [successor.executable, "-P", "-m", "khive_supervisor", "start", "--quiet"]
    argv += ["--take-over", kept.text()]
    argv += ["--config", config_file] if config_file else []
    argv += ["--http"] if http else []
    try:
        os.execve(  # noqa: S606 - the argv is ours
            successor.executable, argv, {**os.environ, **successor.environment}
        )
    except OSError as error:
        raise BootFailure(
            f"{successor.executable} cannot be run: {error.strerror}.",
            hint="The next attach or command starts a supervisor.",
        ) from error


# --- the disk -------------------------------------------------------------------------------------


def package_directory() -> str:
    """Where this release was loaded from; links on the way are looked at anew each time."""
    return os.path.dirname(os.path.abspath(khive_supervisor.__file__))


class Disk:
    """The release that lies where this one was loaded from."""

    def __init__(self, directory: str, running: str = __version__) -> None:
        self._file = os.path.join(directory, "__init__.py")
        self._release: str | None = running
        self._identity = self._look()

    def release(self) -> str | None:
        """The release on disk now, None while there is none; a `stat` unless it has changed."""
        identity = self._look()
        if identity != self._identity:
            self._identity = identity
            self._release = self._read()
        return self._release

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> str | None:
        try:
            with open(self._file, encoding="utf-8", errors="replace") as file:
                found = _VERSION.search(file.read(4096))
        except OSError:
            return None
        return found[1] if found else None


# --- the trial ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial found: the release that would take over, or why it cannot."""

    release: str
    prefix: str
    package: str
    problems: tuple[str, ...]


async def try_out(
    successor: Successor, config_file: str | None, store: str, deadline: float = TRIAL_DEADLINE
) -> Trial:
    """Run `probe` of a release in an interpreter of its own, which ends by the deadline."""
    argv = ["-P", "-m", "khive_supervisor.supervision.probe", "--store", store]
    argv += ["--config", config_file] if config_file else []
    try:
        process = await asyncio.create_subprocess_exec(
            successor.executable,
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd="/",
            env={**os.environ, **successor.environment},
            limit=_ANSWER_LIMIT,
        )
    except OSError as error:
        return _failed(f"{successor.executable} cannot be run: {error.strerror}")
    try:
        out, complaint = await asyncio.wait_for(process.communicate(), deadline)
    except TimeoutError:
        return _failed(f"it did not answer within {deadline:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _understood(out, complaint)


def _understood(out: bytes, complaint: bytes) -> Trial:
    try:
        data = json.loads(out.splitlines()[-1])
        return Trial(
            str(data["release"]),
            str(data["prefix"]),
            str(data["package"]),
            tuple(str(problem) for problem in data["problems"]),
        )
    except (ValueError, LookupError, TypeError):
        words = complaint.decode("utf-8", "replace").strip().splitlines()
        return _failed(words[-1][:500] if words else "it did not say what it is")


def _failed(why: str) -> Trial:
    return Trial("", "", "", (why,))


# --- both together --------------------------------------------------------------------------------

HandOver = Callable[[Successor], Awaitable[None]]


class Upgrader:
    """Looks, tries, and has it done; used only from the supervisor's loop."""

    def __init__(
        self,
        policy: Callable[[], str],
        trial: Callable[[Successor], Awaitable[Trial]],
        hand_over: HandOver,
        *,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = Upgrade(__version__)
        self._policy = policy
        self._trial = trial
        self._hand_over = hand_over
        self._disk = disk or Disk(package_directory())
        self._clock = clock
        self._look = asyncio.Event()
        self._said: tuple[UpgradePhase, str | None] = UpgradePhase.CURRENT, None

    def notice(self, hello: Mapping[str, Any]) -> None:
        """Somebody of another release has come: it may be the one that lies here now."""
        if hello.get("release") not in (None, __version__):
            self._look.set()

    def notice_for(self, hello: Mapping[str, Any]) -> str:
        """What the client of a new session is told on its stderr; mostly nothing."""
        asks = self._policy() == upgrade.ASK and self.state.phase is UpgradePhase.OFFERED
        return self.state.problem if asks and hello.get("kind") == "attach" else ""

    @property
    def own(self) -> Successor:
        """What this supervisor's own environment would load."""
        return Successor(sys.executable, self.state.release or __version__)

    async def run(self) -> None:
        """Look again and again, until it is replaced or cancelled."""
        while self.state.phase is not UpgradePhase.HANDING_OVER:
            await self._turn()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._look.wait()
            except TimeoutError:
                continue
            self._look.clear()

    async def _turn(self) -> None:
        self.state = upgrade.seen(self.state, self._disk.release(), self._policy(), self._clock())
        if self.state.phase is UpgradePhase.TRYING:
            found = await self._trial(self.own)
            self.state = upgrade.tried(self.state, self._problem(found), self._clock())
        self._say()
        if self.state.phase is UpgradePhase.HANDING_OVER:
            await self._hand_over(self.own)

    def _problem(self, found: Trial) -> str:
        """Why the release that was tried does not take over; empty if it does."""
        if found.problems:
            return " ".join(found.problems)
        if found.release != self.state.release:
            return f"the interpreter loads {found.release} from {found.package}"
        return ""

    def _say(self) -> None:
        """Say what is new, once."""
        now = self.state.phase, self.state.release
        if now == self._said:
            return
        self._said = now
        level = (
            log.warning
            if self.state.phase in (UpgradePhase.NOT_YET, UpgradePhase.OFFERED)
            else log.info
        )
        level("upgrade." + self.state.phase.name.lower(), release=self.state.release,
              problem=self.state.problem)  # fmt: skip

    async def ask(self, args: Mapping[str, Any]) -> JsonObject:
        """Answer `upgrade`: try what is asked for, and unless `check`, hand over to it.

        Raises:
            InvalidInput: what is asked for cannot take over.
        """
        successor = _successor_of(args)
        found = await self._trial(successor)
        problems = list(found.problems)
        if not problems and _same(found):
            return {"state": "current", "running": __version__, "release": found.release}
        answer = {"running": __version__, "release": found.release, "prefix": found.prefix,
                  "problems": problems}  # fmt: skip
        if args.get("check") or problems:
            return {"state": "refused" if problems else "ready", **answer}
        if self.state.phase is not UpgradePhase.HANDING_OVER:
            self.state = upgrade.asked(self.state, found.release)
            self._say()
            await self._hand_over(Successor(
                successor.executable, found.release, successor.environment
            ))  # fmt: skip
        return {"state": "handing over", **answer}

    def describe(self) -> UpgradeStatus:
        """Return what `status` shows."""
        return upgrade.describe(self.state, self._policy())


def _same(found: Trial) -> bool:
    """Return whether a trial has found what runs here already."""
    here = os.path.realpath(package_directory())
    return found.release == __version__ and found.package == here


def _successor_of(args: Mapping[str, Any]) -> Successor:
    executable = args.get("executable") or sys.executable
    environment = args.get("environment") or {}
    texts = [executable, *environment, *environment.values()] if environment else [executable]
    if not all(isinstance(text, str) for text in texts) or not os.path.isabs(executable):
        raise InvalidInput("An upgrade needs the interpreter's absolute path.")
    return Successor(executable, "", dict(environment))
