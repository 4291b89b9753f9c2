"""The verbs in this process, without a supervisor: KHIVE_NO_DAEMON=1."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Self

from khive_supervisor.access import decide
from khive_supervisor.access.grant import Grant
from khive_supervisor.cli.connection.trust import ignored
from khive_supervisor.config.project.alone import load_alone
from khive_supervisor.embed.factory import in_process
from khive_supervisor.host import paths
from khive_supervisor.packs import loading
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.context import Context, SessionInfo


class VerbsAlone:
    """Verbs that run here, as if from `cwd`.

    `seen` is what a supervisor that runs nevertheless lets this command do: never more than that.
    """

    def __init__(self, config_file: str | None, cwd: str, seen: Grant | None) -> None:
        config, terms = load_alone(config_file, paths.working_directory(), ignored(config_file))
        self._registry = loading.load()
        info = SessionInfo(
            cwd=cwd,
            namespace=os.environ.get("KHIVE_NAMESPACE"),
            actor=os.environ.get("KHIVE_ACTOR", ""),
            project=terms.identity,
            kind="verbs",
        )
        grant = decide.alone(config, "verbs", os.getcwd(), os.environ)
        self._context = Context(
            config,
            info,
            socket_path=None,
            make_embedder=lambda: in_process(config.embedder),
            grant=grant.narrowed(seen) if seen is not None else grant,
        )

    def request(
        self,
        operation: str,
        args: JsonObject | None = None,
        progress: Callable[[JsonObject], None] | None = None,
    ) -> JsonObject:
        """Run a verb here and return its answer; raises KhiveError."""
        if progress is not None:
            self._context.progress = lambda done, total, text: progress(
                {"done": done, "total": total, "text": text}
            )
        return dict(self._registry.call(self._context, operation, args))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._context.close()
