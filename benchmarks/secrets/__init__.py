"""Secrets: what is found of them, what is taken for one, and what a purge leaves."""
