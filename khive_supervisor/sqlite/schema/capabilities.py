"""What capabilities add to the tables of roles."""

from __future__ import annotations

ROLE_PRIORITY = ("ALTER TABLE roles ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",)
