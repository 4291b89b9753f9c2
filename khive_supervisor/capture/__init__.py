"""What is learned from sessions of clients, by rules: transcripts, decisions, fixes; pure."""
