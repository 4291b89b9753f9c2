"""The workflow pack: graphs of tasks, approvals and schedules."""
