"""Giving way to another release."""
