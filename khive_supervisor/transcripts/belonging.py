"""Which project and namespace the sessions of a directory belong to, and whether they are kept."""

from __future__ import annotations

from khive_supervisor.access import decide
from khive_supervisor.config.settings.model import Config
from khive_supervisor.projects.discovery import identify
from khive_supervisor.store.interface import Store
from khive_supervisor.transcripts.reading import SessionBelonging

#: Directories that are kept in mind.
_KNOWN = 256


class BelongingOf:
    """Says what the sessions of directories belong to; asks again for none of the last ones.

    With `told_only`, a session is kept only where capturing was turned on by somebody.
    """

    def __init__(
        self, store: Store, config: Config, home: str, state: str, *, told_only: bool = False
    ) -> None:
        self._store = store
        self._config = config
        self._home = home
        self._state = state
        self._told_only = told_only
        self._known: dict[str, SessionBelonging] = {}

    def __call__(self, directory: str) -> SessionBelonging:
        """Return what the sessions of a directory belong to."""
        found = self._known.get(directory)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[directory] = self._look(directory)
        return found

    def _look(self, directory: str) -> SessionBelonging:
        grant = decide.of_session(self._config, directory, {})
        namespace = grant.home or self._config.session.namespace
        if grant.namespaces is not None:
            namespace = next(iter(grant.namespaces), "")
        project = self._project(directory)
        # What agents of roles are told by other agents is no user's word.
        kept = bool(namespace) and not directory.startswith(f"{self._state}/work")
        return SessionBelonging(project, namespace, kept and self._is_kept(project))

    def _is_kept(self, project: int | None) -> bool:
        switches = self._store.capture.switches()
        default = not self._told_only
        return switches.get(project, switches.get(None, default))

    def _project(self, directory: str) -> int | None:
        identity = identify(directory, self._home) if directory else None
        return None if identity is None else self._store.projects.ensure(identity)
