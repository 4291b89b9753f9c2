"""Channels on the command line."""
