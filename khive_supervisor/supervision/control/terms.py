"""The terms of sessions, as the supervisor's loop gets them, and what was ignored in all of them.

Files of a session's directory may lie on a disk that does not answer. They are looked at in a
thread, and a session does not wait for them for long.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from khive_supervisor import logs
from khive_supervisor.access.decide import PROJECT
from khive_supervisor.config.project.terms import (
    EffectiveTerms,
    Serving,
    SessionStart,
    TermsOf,
    goes_by_the_same,
)
from khive_supervisor.config.project.text import Ignored
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.host import paths
from khive_supervisor.projects.discovery import unseen
from khive_supervisor.supervision.maintenance.aside import Aside

log = logs.get("khive.terms")

#: Different things ignored that are remembered, and told.
MAX_IGNORED = 200


class SessionTerms:
    """Computes the terms of each session; used only from the supervisor's loop."""

    def __init__(self, aside: Aside) -> None:
        """`aside` looks at sessions' files."""
        self._of = TermsOf(paths.home())
        self._aside = aside
        self._ignored: dict[Ignored, None] = {}

    async def of(self, serving: Serving, hello: Mapping[str, Any]) -> EffectiveTerms:
        """The terms of the session that a hello asks for; says what is ignored, once.

        Raises:
            ConfigError: the session's own configuration, which its user named, is not valid.
            StoreUnavailable: that configuration's disk does not answer.
        """
        asked = _asked(hello)
        try:
            terms = await self._aside.run(functools.partial(self._of, serving, asked))
        except TimeoutError:
            terms = _without_files(serving, asked, self._aside.patience)
        self._say(terms)
        return terms

    def describe(self) -> list[dict[str, str]]:
        """What `status` shows: everything that was ignored, the newest last."""
        return [ignored.as_dict() for ignored in self._ignored]

    def _say(self, terms: EffectiveTerms) -> None:
        for ignored in terms.ignored:
            if ignored in self._ignored:
                continue
            if len(self._ignored) >= MAX_IGNORED:
                self._ignored.pop(next(iter(self._ignored)))
            self._ignored[ignored] = None
            log.warning("session.ignored", **ignored.as_dict())


def _asked(hello: Mapping[str, Any]) -> SessionStart:
    """How a session was started; of another's client, what makes no sense says nothing."""
    pairs = hello.get("ignored") or []
    ignored = [
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)
    ]
    cwd = str(hello.get("cwd") or "/")
    return SessionStart(
        cwd,
        hello.get("config"),
        tuple(ignored),
        anonymous="config" not in hello,
        looked="ignored" in hello,
        project_directory=str((hello.get("env") or {}).get(PROJECT) or "") or None,
    )


def _without_files(serving: Serving, asked: SessionStart, seconds: float) -> EffectiveTerms:
    """Return the terms of a session whose directory did not answer within some seconds."""
    if not goes_by_the_same(asked, serving):
        raise StoreUnavailable(
            f"The configuration {asked.config} could not be read within {seconds:g} s.",
            hint="Its disk, or that of the working directory, does not answer.",
        )
    why = f"the directory did not answer within {seconds:g} s"
    identity = unseen(asked.cwd)
    return EffectiveTerms(ignored=(Ignored(asked.cwd, "its project", why),), identity=identity)
