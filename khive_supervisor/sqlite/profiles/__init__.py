"""Profiles, bindings and feedback."""
