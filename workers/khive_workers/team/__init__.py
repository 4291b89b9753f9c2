"""A team's PostgreSQL server: its tables, bases and nodes, and what is done with it once."""
