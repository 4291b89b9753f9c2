"""Which paths of the HTTP worker are the page's. Pure."""

from __future__ import annotations

#: The views, as the page's navigation has them: path, name, what a keyboard reaches them by.
VIEWS = (
    ("/", "Now", "n"),
    ("/memory", "Memory", "m"),
    ("/profiles", "Profiles", "p"),
    ("/agents", "Agents", "a"),
    ("/workflows", "Workflows", "w"),
    ("/channels", "Channels", "c"),
    ("/audit", "Audit", "u"),
    ("/health", "Health", "h"),
)
#: Where the page's own files are, and its changes and events.
BELOW = "/desk/"
_PATHS = frozenset({path for path, _, _ in VIEWS} | {"/login", "/logout"})


def is_page(path: str) -> bool:
    """Return True if a path is the page's, which lets nobody in by the HTTP token."""
    return path in _PATHS or path.startswith((BELOW, "/memory/"))


def label(path: str) -> str:
    """Return what metrics call a path; of those that hold a name, the beginning."""
    return path if path in _PATHS else "/memory/" if path.startswith("/memory/") else BELOW
