"""What the audit chain costs, and what it finds."""
