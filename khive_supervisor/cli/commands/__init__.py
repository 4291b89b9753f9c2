"""Commands on memory, tasks, profiles and the store."""
