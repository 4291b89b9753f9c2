"""The project's numbers, measured side by side with its peers in one run; see scripts/bench."""
