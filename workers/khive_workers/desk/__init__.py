"""The page: what runs, what waits for somebody and what is known, for one browser of the user."""
