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
from typing import Any, TypedDict

import khive_supervisor
from khive_supervisor import __version__, logs
from khive_supervisor.errors import BootFailure, InvalidInput
from khive_supervisor.supervision.processes.liveness import until_due
from khive_supervisor.supervision.upgrade import states as upgrade
from khive_supervisor.supervision.upgrade.inherited import Inherited
from khive_supervisor.supervision.upgrade.states import Upgrade, UpgradePhase
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.upgrade")

#: Seconds between two looks at the disk; a client of another release brings one at once.
LOOK_EVERY = 5.0
#: Seconds that a release may take to be tried: it imports everything, on a busy machine.
TRIAL_DEADLINE = 60.0
#: Bytes of a trial's answer, and of its last words, that are read.
_ANSWER_LIMIT = 1 << 20
_VERSION = re.compile(rb'^__version__ = "([^"]+)"', re.MULTILINE)


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


def release_in(directory: str) -> str | None:
    """Return the release that lies in a directory now; None while there is none."""
    try:
        path = os.path.join(directory, "__init__.py")
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _VERSION.search(os.read(descriptor, 4096))
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return found[1].decode("utf-8", "replace") if found else None


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


class UpgradeStatus(TypedDict):
    """What `status` shows of another release."""

    policy: str
    state: str
    release: str | None
    problem: str


@dataclass(slots=True, eq=False)
class Upgrader:
    """Looks, tries, and has it done; used only from the supervisor's loop.

    Attributes:
        policy: returns `supervisor.upgrade` of the configuration in force.
        trial: tries a successor.
        hand_over: has one take over; returns before that.
        directory: where a release may be installed in place.
    """

    policy: Callable[[], str]
    trial: Callable[[Successor], Awaitable[Trial]]
    hand_over: Callable[[Successor], Awaitable[None]]
    directory: str = field(default_factory=package_directory)
    clock: Callable[[], float] = time.monotonic
    state: Upgrade = field(default_factory=lambda: Upgrade(__version__))
    _look: asyncio.Event = field(default_factory=asyncio.Event)
    _said: tuple[UpgradePhase, str | None, str] = UpgradePhase.CURRENT, None, ""

    def notice(self, hello: Mapping[str, Any]) -> None:
        """Somebody of another release has come: it may be the one that lies here now."""
        if hello.get("release") not in (None, __version__):
            self._look.set()

    def notice_for(self, hello: Mapping[str, Any]) -> str:
        """What the client of a new session is told on its stderr; mostly nothing."""
        asks = self.policy() == upgrade.ASK and self.state.phase is UpgradePhase.OFFERED
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
                async with asyncio.timeout(until_due(self.clock(), LOOK_EVERY)):
                    await self._look.wait()
            except TimeoutError:
                continue
            self._look.clear()

    async def _turn(self) -> None:
        found = release_in(self.directory)
        self.state = upgrade.seen(self.state, found, self.policy(), self.clock())
        if self.state.phase is UpgradePhase.TRYING:
            problem = self._problem(await self.trial(self.own))
            self.state = upgrade.tried(self.state, problem, self.clock())
        self._say()
        if self.state.phase is UpgradePhase.HANDING_OVER:
            await self.hand_over(self.own)

    def _problem(self, found: Trial) -> str:
        """Why the release that was tried does not take over; empty if it does."""
        if found.problems:
            return " ".join(found.problems)
        if found.release != self.state.release:
            return f"the interpreter loads {found.release} from {found.package}"
        return ""

    def _say(self) -> None:
        """Say what is new, once."""
        now = self.state.phase, self.state.release, self.state.problem
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
        found = await self.trial(successor)
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
            await self.hand_over(Successor(
                successor.executable, found.release, successor.environment
            ))  # fmt: skip
        return {"state": "handing over", **answer}

    def describe(self) -> UpgradeStatus:
        """Return what `status` shows."""
        return {
            "policy": self.policy(),
            "state": self.state.phase.value,
            "release": self.state.release,
            "problem": self.state.problem,
        }


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
