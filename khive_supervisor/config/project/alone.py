"""The configuration of a session or command that serves itself, without a supervisor."""

from __future__ import annotations

import os
from collections.abc import Sequence

from khive_supervisor.config.load import load
from khive_supervisor.config.project.terms import EffectiveTerms, Serving, SessionStart, TermsOf
from khive_supervisor.config.project.text import overlay
from khive_supervisor.config.settings.model import Config
from khive_supervisor.host import paths


def load_alone(
    explicit: str | None, cwd: str, ignored: Sequence[tuple[str, str]]
) -> tuple[Config, EffectiveTerms]:
    """Return the configuration of a session in a directory, its terms included, and these.

    Args:
        explicit: the file that --config names.
        cwd: the directory of the session.
        ignored: what was taken out of the environment; see `paths.distrust`.

    Raises:
        ConfigError: the user's configuration is not valid.
    """
    loaded = load(explicit, cwd, os.environ)
    serving = Serving(loaded.config, loaded.file)
    said = os.environ.get("CLAUDE_PROJECT_DIR")
    start = SessionStart(cwd, loaded.file, ignored, project_directory=said)
    terms = TermsOf(paths.home())(serving, start)
    return overlay(loaded.config, terms.settings), terms
