"""`top`: what runs now, in a terminal, as it moves."""
