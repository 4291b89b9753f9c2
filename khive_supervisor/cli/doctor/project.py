"""The check of `doctor` that looks at what this directory's project says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.project.terms import Serving, SessionStart, TermsOf
from khive_supervisor.config.project.text import Ignored
from khive_supervisor.host import paths


def check_project(
    found: LoadedConfig, cwd: str, ignored: Sequence[tuple[str, str]]
) -> Iterable[Check]:
    """The project of a directory, and what of its file and of the environment is not taken."""
    terms = TermsOf(paths.home())(
        Serving(found.config, found.file), SessionStart(cwd, found.file, ignored)
    )
    yield from (_of(one) for one in terms.ignored)
    if terms.project:
        settings = [f"{t}.{n}" for t, values in terms.settings.items() for n in values]
        what = f"{terms.project['name']} at {terms.project['root']}"
        taken = f"Its file sets {', '.join(settings)}." if settings else ""
        yield Check("project", "ok", what, taken)


def _of(one: Ignored) -> Check:
    own = paths.config_home() + "/khive.toml"
    fix = f"If that is what you want, write into {own}:\n{one.instead}" if one.instead else ""
    return Check("project", "warn", f"{one.place}: {one.key} is not taken", f"{one.why}.", fix)
