"""What a directory's project says, and the terms of a session in it."""
