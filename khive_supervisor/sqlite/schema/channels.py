"""Statements of step 13: notifications that are on their way."""

from __future__ import annotations

CHANNELS: tuple[str, ...] = ()
