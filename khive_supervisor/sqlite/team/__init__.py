"""A node's replica of a team's store: turns to write, changes of others, and its own small row."""
