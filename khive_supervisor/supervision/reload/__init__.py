"""Reloading the configuration."""
