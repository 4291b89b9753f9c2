"""Commands for workflows, approvals and schedules."""
