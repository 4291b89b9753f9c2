"""jj as a subprocess, with no word of anybody's configuration.

A configuration of jj's can name programs: to sign, to watch files, to show differences, to edit.
The user's is not read; a repository's and a workspace's are kept out of its sight (`jj_shadow`). Of
the user's own only the name and address are taken, without which commits would be nobody's.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping

from khive_supervisor.errors import JjFailed
from khive_supervisor.vcs.program import TIMEOUT, VcsProgram

#: Settings for every call, above all that a configuration could say: a second lock on a door that
#: the missing configuration has shut. What is new is tracked, as jj does it unless told otherwise.
#: A file, since jj notes with each operation how it was called.
SETTINGS = """\
[ui]
color = "never"
quiet = true
paginate = "never"
pager = "/nonexistent"
editor = "/nonexistent"
diff-editor = ":builtin"
merge-editor = ":builtin"
diff-formatter = ":git"
show-cryptographic-signatures = false

[git]
executable-path = "/nonexistent"

[fsmonitor]
backend = "none"
watchman.register-snapshot-trigger = false

[signing]
backend = "none"
behavior = "drop"
backends.gpg.program = "/nonexistent"
backends.gpgsm.program = "/nonexistent"
backends.ssh.program = "/nonexistent"

[snapshot]
auto-track = "all()"
auto-update-stale = false
"""
#: A directory that is never there: below a file, what reads git's settings would stumble.
_NOWHERE = "/nonexistent"
#: Nothing that is named by a bare word can be found; jj starts programs only for what is off.
_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": _NOWHERE,
    "XDG_CONFIG_HOME": _NOWHERE,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "JJ_CONFIG": "/dev/null",
    "PATH": "/dev/null",
}
#: Variables in which the user's own jj finds its configuration, and who the user is.
_OF_USER = ("HOME", "XDG_CONFIG_HOME", "JJ_CONFIG", "JJ_USER", "JJ_EMAIL")


class Jj(VcsProgram):
    """Runs jj: nobody's configuration, no program but itself, nobody asked."""

    name = "jj"
    failure = JjFailed
    fixed = _ENVIRONMENT

    def __init__(self, environ: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        super().__init__(environ, timeout)
        self._users = {name: environ[name] for name in _OF_USER if environ.get(name)}
        self._author: Mapping[str, str] | None = None

    @property
    def author(self) -> Mapping[str, str]:
        """Return variables that say who commits: whom the user's own configuration names."""
        if self._author is None:
            self._author = self._found_author()
        return self._author

    def _found_author(self) -> Mapping[str, str]:
        asked = JjOfUser({**self._users, "PATH": self._path}, self._timeout)
        try:
            said = asked.run("config", "list", "user", cwd=os.sep, variables=self._users)
            user = tomllib.loads(said).get("user", {})
        except (JjFailed, ValueError):
            return {}
        named = {"JJ_USER": user.get("name"), "JJ_EMAIL": user.get("email")}
        return {name: said for name, said in named.items() if isinstance(said, str) and said}


class JjOfUser(VcsProgram):
    """jj as the user has set it up, for what it says of its own configuration; in no repository."""

    name = "jj"
    failure = JjFailed
    before = ("--no-pager", "--color=never")
