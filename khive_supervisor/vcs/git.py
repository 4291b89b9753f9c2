"""git as a subprocess, with no word of anybody's configuration.

Configurations of the system and the user are not read, since they may include files of a
repository; a repository's own is never read either (see `shadow`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from khive_supervisor.errors import GitFailed
from khive_supervisor.vcs.program import VcsProgram

#: Settings for every call, above all that a configuration could say: a second lock on a door that
#: the missing configuration has shut.
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null", "core.pager=cat", "core.editor=false", "core.askPass=false",
    "core.sshCommand=false", "core.gitProxy=false", "core.alternateRefsCommand=false",
    "credential.helper=", "protocol.allow=never", "submodule.recurse=false", "gc.auto=0",
    "maintenance.auto=false", "log.showSignature=false", "commit.gpgSign=false",
)  # fmt: skip


class Git(VcsProgram):
    """Runs git: nobody's configuration or attributes, nothing fetched, nobody asked."""

    name = "git"
    failure = GitFailed
    before = tuple(word for setting in _SETTINGS for word in ("-c", setting))
    #: Nothing is written by a look either.
    fixed: ClassVar[Mapping[str, str]] = {
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
