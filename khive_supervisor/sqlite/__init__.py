"""The store on SQLite; the only place with SQL."""
