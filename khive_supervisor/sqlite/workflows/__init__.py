"""Runs of workflows, approvals and schedules."""
