"""What workers import late in their lives, imported before any of them is forked.

The package's files may be replaced by another release's while this one runs: what is imported after
that would be half of the one and half of the other. tests/unit/test_late_imports.py keeps the list.
"""

from __future__ import annotations

import importlib

#: Modules that are imported inside of functions which workers call.
LATE = (
    "khive_supervisor.embed.openai",
    "khive_supervisor.worktrees.metadata",
    "khive_workers.role.agent",
    "khive_workers.role.command",
    "khive_workers.role.place",
)


def preload() -> None:
    """Import all of it."""
    for name in LATE:
        importlib.import_module(name)
