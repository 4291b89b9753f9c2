"""Reloads and upgrades under work."""
