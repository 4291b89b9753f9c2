"""The notifier: has what happens told to the user's channels."""
