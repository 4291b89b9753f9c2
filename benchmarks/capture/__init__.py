"""What is learned from sessions by rules: how much of it is right, and whether it is found."""
