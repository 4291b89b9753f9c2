"""The terms of one session: what its project's file, and a configuration of its own, give it.

The supervisor computes them when it passes a session on; a session or command that is served
without one does so for itself, by the same function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import realpath

from khive_supervisor.config.load import LoadedConfig, load_settings
from khive_supervisor.config.project.discovery import ProjectFiles, ProjectPlace, find
from khive_supervisor.config.project.text import (
    Ignored,
    Project,
    Settings,
    of_sessions,
    of_supervisor,
)
from khive_supervisor.config.settings.model import Config
from khive_supervisor.host import paths, repository
from khive_supervisor.projects.discovery import directory_of, identify
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.text.plain_json import JsonObject

#: What can name a configuration, and may turn out to name a project's file.
NAMING = ("--config", "KHIVE_CONFIG")

_IN_PROJECT = "it leads into the project that the session works in, which does not decide that"
_RELATIVE = "it is no absolute path"
_OTHER_SUPERVISOR = "the supervisor that owns this store goes by {}"


@dataclass(frozen=True, slots=True)
class SessionStart:
    """How a session was started.

    Attributes:
        cwd: its directory.
        config: the file that it goes by, as far as the client can tell; None: the defaults.
        ignored: (name, value) of what the client did not take; see `paths.distrust`.
        anonymous: whether the client said nothing of a configuration; it takes what there is.
        looked: whether the client judged what it was started with; older ones took what lay there.
        project_directory: where its client says that its project is.
    """

    cwd: str
    config: str | None = None
    ignored: Sequence[tuple[str, str]] = ()
    anonymous: bool = False
    looked: bool = True
    project_directory: str | None = None


@dataclass(frozen=True, slots=True)
class EffectiveTerms:
    """What applies to one session.

    Attributes:
        settings: what differs from the configuration of whoever serves it; see `project.overlay`.
        project: its project's directory ("root"), name ("name") and file ("file"), if it is in one.
        ignored: what was not taken.
        identity: the project that its memories are about; None: they are the user's as a whole.
    """

    settings: Settings = field(default_factory=dict)
    project: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()
    identity: ProjectIdentity | None = None

    def for_worker(self) -> JsonObject:
        """Return the part of a worker's request that says so."""
        identity = self.identity.as_dict() if self.identity is not None else None
        return {
            "settings": dict(self.settings),
            "project": dict(self.project),
            "identity": identity,
        }


@dataclass(frozen=True, slots=True)
class Serving:
    """Who serves: its configuration, and the file of that."""

    config: Config
    file: str | None


class TermsOf:
    """Computes terms; remembers what files said as long as they do not change."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._files = ProjectFiles()

    def __call__(self, serving: Serving, asked: SessionStart) -> EffectiveTerms:
        """Return the terms of one session.

        Raises:
            ConfigError: the user's word for this session, another configuration, is not valid.
        """
        asked, named = self._own_word(asked)
        settings, ignored = _of_user(serving, asked)
        place = find(asked.cwd, self._home)
        said = Project()
        if place is not None:
            said = self._of_project(place, named, asked.cwd, serving)
            settings = _merged(settings, said.settings)
        ignored += [_of_variable(name, value) for name, value in asked.ignored]
        return EffectiveTerms(
            settings,
            _described(place, said),
            (*ignored, *said.ignored),
            self.identity(asked.cwd, asked.project_directory),
        )

    def identity(self, cwd: str, project_directory: str | None = None) -> ProjectIdentity | None:
        """Return the project that the memories of a directory's session are about."""
        where = directory_of(cwd, project_directory)
        found = identify(where, self._home)
        place = find(where, self._home)
        if found is None or place is None or place.file is None:
            return found
        name = self._files.read(place.file, place, self._home).name
        # A file in the root names all of it; one below, a part.
        at_root = repository.parent(place.file) == place.root
        return found.called(name) if at_root else found.narrowed(name)

    def _own_word(self, asked: SessionStart) -> tuple[SessionStart, list[str]]:
        """How the session was started by its user, and what its project named as configuration.

        The client has looked already; who decides is who serves.
        """
        named = [value for name, value in asked.ignored if name in NAMING]
        if asked.config is None:
            return asked, named
        place = repository.repository_of if asked.looked else repository.project_of
        if repository.holds(place(asked.cwd, self._home), asked.config, asked.cwd, self._home):
            return replace(asked, config=None, anonymous=True), [asked.config, *named]
        return asked, named

    def _of_project(
        self, place: ProjectPlace, named: Sequence[str], cwd: str, serving: Serving
    ) -> Project:
        project = repository.project_of(cwd, self._home)
        files = [repository.join(cwd, name) for name in named]
        inside = [f for f in files if repository.holds(project, f, cwd, self._home)]
        file = inside[0] if inside else place.file
        if file is None or _same(file, serving.file) or project is None:
            return Project()
        # A file that was named may lie beside the nearest repository, in one around it.
        return self._files.read(
            file, ProjectPlace(project if inside else place.root, file), self._home
        )


def goes_by_the_same(asked: SessionStart, serving: Serving) -> bool:
    """Return True if a session goes by the configuration of who serves it."""
    if asked.anonymous or asked.config == serving.file:
        return True
    own = paths.config_home() + "/khive.toml"  # in force at the next reload, if it is new
    if {asked.config, serving.file} <= {None, own}:
        return True
    return asked.config is not None and _same(asked.config, serving.file)


def _of_user(serving: Serving, asked: SessionStart) -> tuple[dict[str, JsonObject], list[Ignored]]:
    """Return what the user's own word for a session changes, and what of it cannot be had."""
    if goes_by_the_same(asked, serving):
        return {}, []
    if asked.config is None:
        return of_sessions(Config(), serving.config), []
    other = load_settings(asked.config)
    return of_sessions(other.config, serving.config), _differing(other, serving)


def _same(file: str, other: str | None) -> bool:
    return other is not None and realpath(file) == realpath(other)


def _differing(other: LoadedConfig, serving: Serving) -> list[Ignored]:
    """Return what another configuration says of the supervisor, which there is only one of."""
    why = _OTHER_SUPERVISOR.format(serving.file or "the defaults")
    return [
        Ignored(other.origins[key], key, why)
        for key in of_supervisor(other.config, serving.config)
        if other.origins[key] != "default" and key != "store.path"
    ]


def _merged(first: Settings, second: Settings) -> dict[str, JsonObject]:
    tables = {**first, **second}
    return {table: {**first.get(table, {}), **second.get(table, {})} for table in tables}


def _described(place: ProjectPlace | None, said: Project) -> dict[str, str]:
    if place is None:
        return {}
    name = said.name or place.root.rpartition("/")[2]
    return {"root": place.root, "name": name, "file": place.file or ""}


def _of_variable(name: str, value: str) -> Ignored:
    place = name if name.startswith("-") else f"environment {name}"
    relative = name in (*repository.DIRECTORIES, "HOME") and not value.startswith("/")
    return Ignored(place, value, _RELATIVE if relative else _IN_PROJECT)
