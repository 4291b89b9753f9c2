"""Directories that tasks are done in: fresh ones, and git worktrees of the caller's repository."""
