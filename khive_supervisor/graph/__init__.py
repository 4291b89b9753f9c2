"""What links there can be between entries, and walks along them; pure."""
