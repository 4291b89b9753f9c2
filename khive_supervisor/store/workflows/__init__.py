"""What may be asked of a store about workflows, approvals and schedules."""
