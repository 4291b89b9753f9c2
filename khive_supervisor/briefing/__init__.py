"""What is put into an agent's context unasked: which lines, how long, and when nothing; pure."""
