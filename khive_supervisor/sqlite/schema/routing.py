"""Statements of step 13: candidates of roles: what they learned, whether they are available."""

from __future__ import annotations

ROUTING: tuple[str, ...] = ()
