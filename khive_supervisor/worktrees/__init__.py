"""Directories that tasks are done in: fresh ones, and worktrees of the caller's repository."""
