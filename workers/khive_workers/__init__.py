"""What runs in child processes; started by module name, never imported by the supervisor."""
