"""How quickly sessions start, and what they cost."""
