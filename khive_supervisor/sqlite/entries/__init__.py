"""Entries, their sources, words and vectors."""
