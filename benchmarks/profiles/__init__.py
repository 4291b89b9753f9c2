"""What is shared of feedback: never stale, never lost."""
