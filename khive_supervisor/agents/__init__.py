"""Coding agents as handlers: how each is called, and how its answer is read. Nothing is started."""
