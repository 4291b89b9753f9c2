"""What hooks cost, and what they say."""
