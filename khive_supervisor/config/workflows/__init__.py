"""Workflows of the configuration."""
