"""What the supervisor's children see of the environment that it was started in.

Whoever came first started it, perhaps a client with credentials in its environment. Workers run
verbs, also those of other packs, for all clients: they get what programs need to run, what this
project reads, and later what their own client forwards; nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config

#: Names that programs and libraries need: paths, language, time zone, certificates, proxies.
KEPT = frozenset(
    {
        "HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
        "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR",
        "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
        "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    }
)  # fmt: skip
KEPT_PREFIXES = ("KHIVE_", "LC_", "PYTHON", "XDG_")
#: It may have a password in it; what children need of it is in the configuration that they get.
URL = "KHIVE_STORE_URL"
#: What a task is known by: a supervisor that an agent had to start is no part of the task.
OF_A_TASK = ("KHIVE_TASK_", "KHIVE_ROLE")


def for_children(environ: Mapping[str, str], config: Config) -> dict[str, str]:
    """The variables of `environ` that children get; none that a session forwards by itself."""
    own = {config.embedder.api_key_env} if config.embedder.api_key_env else set()
    forwarded = set(config.session.env_allow) - own
    return {
        name: value
        for name, value in environ.items()
        if name not in forwarded
        and not name.startswith(OF_A_TASK)
        and name != URL
        and (name in KEPT or name in own or name.startswith(KEPT_PREFIXES))
    }


class ChildEnvironment:
    """The variables that every child gets, in one dictionary that all who start processes hold.

    Attributes:
        variables: changed in place by `configure`; whoever starts a process reads it then.
    """

    def __init__(self, config: Config, socket_path: str, environ: Mapping[str, str]) -> None:
        self.variables: dict[str, str] = {}
        self._socket_path = socket_path
        self._environ = environ
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Name another configuration, for children that start from now on.

        Raises:
            ConfigError: it is too long for a variable; nothing was changed.
        """
        variables = {
            **for_children(self._environ, config),
            snapshot.VARIABLE: snapshot.dumps(config),
            "KHIVE_SOCKET": self._socket_path,
            # Threads keep the pages of a search's arrays instead of giving them back and getting
            # them anew each time: 0.7 ms of a search.
            "MALLOC_TRIM_THRESHOLD_": "1048576",
        }
        self.variables.clear()
        self.variables.update(variables)
