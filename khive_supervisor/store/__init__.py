"""The durable store; the only place with SQL."""
