"""SQLite: opening, connections, errors, copies and upgrades."""
