"""What `doctor` says of the sessions of a directory."""

from __future__ import annotations

import pytest

from khive_supervisor.cli.doctor.confinement import check_confinement
from khive_supervisor.config.load import loads

CONFIG = """
[session]
operator_paths = ["/srv/ops"]

[[confine]]
path = "/srv/acme/**"
namespace = "acme"

[[confine]]
path = "/srv/beta"
namespace = "beta"
"""


@pytest.mark.parametrize(
    ("cwd", "environ", "status", "what", "why"),
    [
        ("/srv/x", {}, "ok", "the verbs of agents, and all namespaces", ""),
        ("/srv/ops/x", {}, "ok", "the verbs of operators", "session.operator_paths"),
        ("/srv/acme/x", {}, "ok", "confined to acme",
         "/srv/acme/x is confined to acme (/khive.toml:7)."),
        ("/srv/x", {"CLAUDE_PROJECT_DIR": "/srv/beta"}, "ok", "confined to beta",
         "/srv/beta is confined to beta (/khive.toml:11)."),
        ("/srv/acme", {"CLAUDE_PROJECT_DIR": "/srv/beta"}, "warn", "they reach none",
         "/srv/acme is confined to acme"),
        ("/srv/x", {"KHIVE_CONFINE": "beta"}, "ok", "confined to beta", "KHIVE_CONFINE confines"),
        ("/srv/ops", {"KHIVE_TASK_ID": "7"}, "ok", "the verbs of agents", ""),
    ],
)  # fmt: skip
def test_what_holds_here(
    cwd: str, environ: dict[str, str], status: str, what: str, why: str
) -> None:
    (check,) = check_confinement(loads(CONFIG, "/khive.toml", {}), cwd, environ)
    assert check.status == status
    assert what in check.what
    assert why in check.why
