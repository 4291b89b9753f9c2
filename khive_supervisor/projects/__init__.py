"""Whose project a directory is: found by reading files, and confirmed in the background by git."""
