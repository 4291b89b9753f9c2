"""The replicator: one process of a node that speaks with the team's PostgreSQL server."""
